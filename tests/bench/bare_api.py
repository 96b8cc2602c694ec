"""The floor of the API: the same server, a handler that answers a constant; it knows no token and no database."""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from outbound.web import server
from outbound.web.protocol import BoundedHttp

_ANSWER = b'{"call_id":1,"status":"queued","created":true,"note":null,"due":null,"has_key":true}'


async def _create(request: Request) -> Response:
    await request.body()
    return Response(_ANSWER, 201, media_type="application/json")


def made(port: int) -> uvicorn.Server:
    """The server; call `run()`."""
    app = Starlette(routes=[Route("/v1/calls", _create, methods=["POST"])])
    return server.make(app, "127.0.0.1", port, protocol=BoundedHttp)


if __name__ == "__main__":
    made(int(sys.argv[1])).run()
