"""The floor of callbacks: the same server, the same signature check, one INSERT; it knows nothing of calls."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl

import uvicorn
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from twilio.request_validator import RequestValidator

TABLE = """
create table bare_callback (
    id bigint generated always as identity primary key, call_id bigint not null, status text not null,
    received_at timestamptz not null default now(), payload jsonb not null
)
"""
_INSERT = "insert into bare_callback (call_id, status, payload) values (%s, %s, %s)"


def app() -> Starlette:
    """The application, with a pool of its own."""
    pool = AsyncConnectionPool(
        os.environ["DATABASE_URL"], min_size=1, max_size=12, open=False, kwargs={"autocommit": True}
    )
    validator = RequestValidator(os.environ["TWILIO_AUTH_TOKEN"])
    base = os.environ["OUTBOUND_PUBLIC_URL"]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with pool:
            yield

    async def callback(request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        if not validator.validate(base + request.url.path, form, request.headers["x-twilio-signature"]):
            return Response(status_code=403)
        async with pool.connection() as connection:
            await connection.execute(_INSERT, [request.path_params["call_id"], form["CallStatus"], Jsonb(form)])
        return Response(status_code=204)

    return Starlette(routes=[Route("/callbacks/{call_id}/{tag}", callback, methods=["POST"])], lifespan=lifespan)


if __name__ == "__main__":
    uvicorn.run(app(), host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False, server_header=False)
