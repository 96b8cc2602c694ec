"""The API's application: its routes, how it says no, and its document."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import to_thread
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from outbound import __version__, db, logs
from outbound.api import (
    calls,
    contacts,
    context,
    control,
    event_stream,
    files,
    models,
    new_calls,
    preference,
    problem,
    tenants,
    tokens,
    webhooks,
)
from outbound.api.context import PREFIX
from outbound.api.problem import Problem, pointer_of, sentence_of
from outbound.api.route import Direct, Operation, Refuser
from outbound.api.tenant_view import View
from outbound.errors import SettingsError, UserError
from outbound.shipped import shipped

log = logs.get("api")

ROUTERS = (
    calls.calls,
    control.control,
    files.files,
    calls.leads,
    tenants.tenants,
    tenants.rules,
    contacts.contacts,
    tokens.tokens,
    webhooks.webhooks,
)
_DESCRIPTION = """Queue calls, steer them, and read what became of them.

Each request shows a token, `Authorization: Bearer outb_…` (`outbound token add`); `x-scope` names the scope that it
needs. A token of one business sees that one's rows: what is another's is answered like what is not there, with 404.
Send an `Idempotency-Key` with each request that writes: the same request may then be repeated after a timeout, and is
answered as before, with `Idempotent-Replayed: true`, for 72 hours; of a call, for as
long as the call is kept.
What is refused is answered as `application/problem+json`, with a stable `code`, and with title and sentences in English
or Hebrew by `Accept-Language`; `Content-Language` says in which."""
_AWAY = "the database does not answer, and whether this was done is not known: send it again with the same key"
_WITHOUT_KEY = {"make_token"}  # its answer is not kept, as it holds the token
# A query may hold a number; and the frame would look for providers at each request.
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


@asynccontextmanager
async def _life(_: FastAPI) -> AsyncIterator[None]:
    """As many requests are at work at once as the pool has connections for; the others wait for their turn."""
    quick = max(2, db.pool_size() - context.SLOW_AT_ONCE)
    to_thread.current_default_thread_limiter().total_tokens = quick
    db.resize_pool(quick + context.SLOW_CONNECTIONS * context.SLOW_AT_ONCE + context.PAGES_AT_ONCE)
    context.forget_limits()
    new_calls.begin()
    yield
    event_stream.forget()


class _Application(FastAPI):
    """
    The frame's application, which leaves the operations that are asked most to `direct`, by method and path.

    A slash that was sent as `%2F` is one of an id or a name, and does not end it: nothing here has one, while the
    frame would take `/calls/1%2Fwhy` for another path.  Its patterns also take the end of a line behind a path.
    """

    direct: dict[tuple[str, str], Direct]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and (b"%2f" in scope["raw_path"].lower() or not scope["path"].isprintable()):
            scope["path"] = ""  # none that is answered here
        direct = self.direct.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        await (direct or super().__call__)(scope, receive, send)


def app() -> FastAPI:
    """The ASGI application."""
    application = _Application(
        title="outbound",
        version=__version__,
        lifespan=_life,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
        exception_handlers=_HANDLERS,
    )
    for router in ROUTERS:
        # As they are: of an included router, the frame would make each route once more, which takes half a second.
        application.router.routes.extend(router.routes)
    routes = {one.endpoint: one for one in calls.calls.routes if isinstance(one, Operation)}
    application.direct = {
        ("POST", f"{PREFIX}/calls"): Direct(
            routes[calls.create_call], _HANDLERS, models.NewCall, new_calls.faults_beside
        ),
        ("GET", f"{PREFIX}/calls"): Direct(routes[calls.list_calls], _HANDLERS),
    }
    for path, answer in (("/healthz", _healthz), ("/openapi.json", _document)):
        application.add_api_route(path, answer, methods=["GET", "HEAD"], include_in_schema=False)
    return application


def document() -> dict[str, Any]:
    """The OpenAPI document: what each operation takes and answers."""
    application = app()
    made = get_openapi(
        title="outbound", version="1", description=_DESCRIPTION, routes=application.routes, openapi_version="3.1.0"
    )
    made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    made["security"] = [{"token": []}]
    schemas = made["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for model in (models.Fault, models.ProblemAnswer):
        schemas[model.__name__] = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas[model.__name__].pop("$defs", None)
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "your name for this request: repeated, it does nothing more and is answered as before",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    }
    for operations in made["paths"].values():
        for method, operation in operations.items():
            if method in ("post", "put", "patch", "delete") and operation["operationId"] not in _WITHOUT_KEY:
                operation.setdefault("parameters", []).append(key)
    return made


def document_text() -> str:
    """The document as ops/openapi.json has it."""
    return json.dumps(document(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


async def _healthz() -> Response:
    return JSONResponse({"status": "ok"})


async def _document() -> Response:
    committed = shipped("openapi.json", "ops/openapi.json")
    return FileResponse(committed, media_type="application/json", headers={"cache-control": "no-cache"})


def _answer(request: Request, found: Problem) -> Response:
    language = problem.language_of(preference.sent(request, "accept-language"))
    return problem.response(found, language, is_on_page=context.CALLER in request.scope)


async def _problem(request: Request, error: Any) -> Response:
    return _answer(request, error)


async def _refused(request: Request, error: Any) -> Response:
    known, of_query = (getattr(request.state, name, ()) for name in ("fields", "query_fields"))
    found = problem.of_user_error(error, known=known, of_query=of_query)
    caller = getattr(request.state, "caller", None)
    if caller is not None:
        found.reword(View(caller.business_id).text)
    return _answer(request, found)


async def _not_set_up(request: Request, error: Any) -> Response:
    """A setting of ours is missing: the operator reads which in the log, and a tenant that it is nothing of its own."""
    log.error("api.not_set_up", reason=str(error))
    message = "this server is not set up for that: its operator reads in the log what is missing"
    return _answer(request, Problem(409, message, code="not_set_up"))


async def _invalid(request: Request, error: Any) -> Response:
    errors = [
        {
            "pointer": _pointer(fault["loc"]),
            "code": str(fault["type"]),
            "detail": sentence_of(fault),
        }
        for fault in error.errors()
    ]
    # A field that may be of several types has a fault for each.
    where = ", ".join([pointer for pointer in dict.fromkeys(fault["pointer"] for fault in errors) if pointer][:10])
    message = f"these do not fit the document: {where}" if where else "the body is missing, or no JSON object: send one"
    errors = errors[:100] + getattr(request.state, "faults_beside", [])
    return _answer(request, Problem(422, message, errors=errors))


# Behind a field that may be of several types, the frame names the one that it tried.
_UNION_TAGS = frozenset({"float", "int", "str", "constrained-str", "bool"})


def _pointer(place: tuple[str | int, ...]) -> str:
    """The place of a fault: a JSON pointer into the body, or the parameter of a query or a path."""
    kind, *rest = place
    if len(rest) > 1 and rest[-1] in _UNION_TAGS and "contact" not in rest:  # whose fields have any name
        rest.pop()
    written = pointer_of(rest)
    return {"body": f"/{written}" if written else "", "query": f"?{written}"}.get(str(kind), f"{kind}/{written}")


async def _http(request: Request, error: Any) -> Response:
    if error.status_code == 405:
        allowed = ", ".join(sorted(_methods(request)))
        return _answer(request, Problem(405, f"this path answers {allowed}", headers={"allow": allowed}))
    if error.status_code == 404:
        return _answer(request, Problem(404, "there is no such path: see /openapi.json"))
    return _answer(request, Problem(error.status_code, str(error.detail), headers=error.headers))


def _methods(request: Request) -> set[str]:
    """All methods that a path answers: the frame names those of its first route alone."""
    routes = [route for route in request.app.routes if isinstance(route, APIRoute)]
    answering = [route for route in routes if route.path_regex.match(request.url.path)]
    return {method for route in answering for method in route.methods or ()}


async def _unavailable(request: Request, error: Exception) -> Response:
    if db.fault(error)[0] == db.TOOK_TOO_LONG:
        message = "that takes longer than a request may: ask for less"
        return _answer(request, Problem(503, message, code="took_too_long"))
    log.outage("api.database_away", error)
    return _answer(request, Problem(503, _AWAY, headers={"retry-after": "1"}))


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it


_HANDLERS: dict[Any, Refuser] = {
    Problem: _problem,
    RequestValidationError: _invalid,
    HTTPException: _http,
    UserError: _refused,
    SettingsError: _not_set_up,
    ClientDisconnect: _gone,
    **dict.fromkeys(db.Unavailable, _unavailable),
}
