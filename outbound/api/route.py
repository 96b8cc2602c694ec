"""Declares operations, and checks token, scope, rate and body of each request before them."""

import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Annotated, Any, get_args, get_origin

from fastapi import APIRouter, Depends, Path
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from outbound import db, logs
from outbound.api import context, json_body, models, path_numbers
from outbound.api.context import Context, Tokens
from outbound.api.problem import Problem
from outbound.errors import UserError

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
# Given the body and the names of its fields that do not fit, returns the faults of the others, as Problem has them.
Beside = Callable[[Context, dict[str, Any], set[str]], Coroutine[Any, Any, list[dict[str, str]]]]
Refuser = Callable[[Request, Any], Coroutine[Any, Any, Response]]
ASKED_AGAIN_S = 1.0  # a body that takes as long to come is not done before its token was asked for once more
# The path takes nothing that can be no id; one that is too large is of no row, and not found like any other.
Id = Annotated[int, Path(json_schema_extra={"minimum": 1, "maximum": models.ID_MAX})]

path_numbers.bound()
tokens = Tokens()
log = logs.get("api")

_STATUSES = {
    400: "it cannot be read",
    401: "no valid token",
    403: "the token lacks the scope, or is of one business",
    404: "there is no such thing for this token",
    408: "the body comes too slowly",
    409: "the state does not allow it, or the same request is being answered",
    413: "the body is too large",
    415: "another content type than is read here",
    422: "it is understood, and cannot be done: `errors` names each fault",
    429: "too many requests",
    503: "the database does not answer, or it takes too long; whether it was done is not known",
}
# Headers that say one thing: of two, a proxy may go by one and we by the other.
_ONCE = frozenset({b"authorization", b"content-type", b"content-encoding", b"idempotency-key", b"last-event-id"})


class _Given(Request):
    """A request whose body was read already."""

    def give(self, body: bytes, value: Any) -> "_Given":
        self._body = body
        self._json = value
        return self


def log_fault(error: Exception) -> None:
    """Log an error by its type alone, as its text may hold a row's data."""
    code, _ = db.fault(error)
    log.error("api.fault", error=type(error).__name__, sqlstate=code)


async def _answered(answer: Handler, request: Request) -> Response:
    """
    The answer; an error that nobody expected is logged by its type alone, as its text may hold a row's data.

    Raises:
        Problem: 500.
    """
    try:
        return await answer(request)
    except (Problem, UserError, HTTPException, RequestValidationError, ClientDisconnect, *db.Unavailable):
        raise
    except Exception as error:  # noqa: BLE001 (whatever it is, the client gets an answer)
        log_fault(error)
        raise Problem(500, "it was logged; nothing more is known here") from None


class Operation(APIRoute):
    """A route behind a token: a request that is not let in learns nothing else."""

    def get_route_handler(self) -> Handler:
        """Return the function that answers a request."""
        return self.behind_token(super().get_route_handler())

    def _body_fields(self) -> set[str]:
        model = self.body_field and self.body_field.field_info.annotation
        models = [one for one in (model, *get_args(model)) if isinstance(one, type) and issubclass(one, BaseModel)]
        return {field.alias or name for one in models for name, field in one.model_fields.items()}

    def behind_token(self, answer: Handler) -> Handler:
        """Return the function that lets a request in and has it answered; the framework reads nothing of it before."""
        model: TypeAdapter[Any] = TypeAdapter(self.response_model or Any)
        known = {one.alias: _takes_several(one.field_info.annotation) for one in self.dependant.query_params}
        fields = known.keys() | self._body_fields()
        about = self.openapi_extra or {}
        is_file = bool(about.get("x-file"))

        async def handle(request: Request) -> Response:
            _refuse_headers_sent_twice(request)
            caller = request.state.caller = await tokens.caller(request)
            context.require(caller, about["x-scope"], of_all=about["x-of-all"])
            if (note := getattr(request.state, "is_let_in", None)) is not None:  # no such in a request of the page
                note()
            request.state.fields, request.state.query_fields = fields, known.keys()
            headers = tokens.take(caller)
            if request.scope["query_string"]:
                _refuse_unknown(request, known)
            _refuse_encoded(request)
            body = b""
            if not is_file:
                began = time.monotonic()
                body = await json_body.read(request)
                if time.monotonic() - began >= ASKED_AGAIN_S:
                    await tokens.caller(request)
                request = _with_json(request, body, is_wanted=self.body_field is not None)
            request.state.context = context.of_request(request, caller, body, model, partial(tokens.caller, request))
            response = await _answered(answer, request)
            response.headers.update(headers)
            return response

        return handle


class Direct:
    """
    An operation that takes a body alone, or a query alone, and is asked more often than others, as an ASGI application.

    It answers what its route would, without the frame's middleware and its search for dependencies, which cost more
    than the operation.

    Args:
        route: the operation; its path has no parameters.
        refusers: of each kind of error, what answers it.
        body_model: of its body; None where it takes a query.
        beside: of a body that does not fit the model, what is wrong with the content of the fields that do.
    """

    def __init__(
        self,
        route: Operation,
        refusers: Mapping[type[Exception], Refuser],
        body_model: type[BaseModel] | None = None,
        beside: Beside | None = None,
    ) -> None:
        self._body = None if body_model is None else TypeAdapter(body_model)
        self._query = [(one, _takes_several(one.field_info.annotation)) for one in route.dependant.query_params]
        self._endpoint, self._refusers, self._beside = route.endpoint, refusers, beside
        self._handle = route.behind_token(self._answer)

    async def _answer(self, request: Request) -> Response:
        context = request.state.context
        response: Response
        if self._body is None:
            response = await self._endpoint(context, **self._asked(request.query_params))
        else:
            sent = await request.json()
            try:
                body = self._read(self._body, sent)
            except RequestValidationError as error:
                if self._beside is not None and isinstance(sent, dict):
                    at_fault = {str(fault["loc"][1]) for fault in error.errors()}
                    request.state.faults_beside = await self._beside(context, sent, at_fault)
                raise
            response = await self._endpoint(context, body)
        return response

    def _asked(self, query: QueryParams) -> dict[str, Any]:
        """The parameters that were sent, each checked as the frame checks it; the others have their defaults."""
        values: dict[str, Any] = {}
        faults: list[Any] = []
        for field, is_list in self._query:
            if field.alias in query:
                sent = query.getlist(field.alias) if is_list else query[field.alias]
                values[field.name], found = field.validate(sent, values, loc=("query", field.alias))
                faults += found
        if faults:
            raise RequestValidationError(faults)
        return values

    def _read(self, body: TypeAdapter[BaseModel], value: Any) -> BaseModel:
        if value is None:
            raise RequestValidationError([{"type": "missing", "loc": ("body",), "msg": "Field required"}])
        try:
            return body.validate_python(value)
        except ValidationError as error:
            faults = error.errors(include_url=False)
            raise RequestValidationError([fault | {"loc": ("body", *fault["loc"])} for fault in faults]) from None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = await self._handle(request)
        except Exception as error:
            refuser = next((self._refusers[kind] for kind in type(error).__mro__ if kind in self._refusers), None)
            if refuser is None:
                raise
            response = await refuser(request, error)
        await response(scope, receive, send)


def _takes_several(annotation: Any) -> bool:
    """Is a parameter a list, which is sent once for each value?"""
    return list in {get_origin(one) for one in (annotation, *get_args(annotation))}


def _refuse_headers_sent_twice(request: Request) -> None:
    sent = [name for name, _ in request.scope["headers"] if name in _ONCE]
    if len(sent) != len(set(sent)):
        twice = ", ".join(name.decode().title() for name, count in Counter(sent).items() if count > 1)
        raise Problem(400, f"a header is sent twice, and only one of them would be read: send one {twice}")


def _refuse_encoded(request: Request) -> None:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        headers = {"accept-encoding": "identity"}
        raise Problem(415, "send the body as it is: no Content-Encoding is read here", headers=headers)


def _refuse_unknown(request: Request, known: Mapping[str, bool]) -> None:
    """A filter that is misspelt must not find everything; of one that is sent twice, one would be left out."""
    given = Counter(name for name, _ in request.query_params.multi_items())
    if unknown := sorted(given.keys() - known.keys()):
        allowed = ", ".join(sorted(known)) or "none"
        message = f"the query has parameters that are not read here; it may have: {allowed}"
        raise Problem(422, message, errors=_faults(unknown, "unknown", "there is no such parameter"))
    if twice := [name for name, count in given.items() if count > 1 and not known[name]]:
        errors = _faults(twice, "repeated", "it has one value: send it once")
        raise Problem(422, "the query has a parameter twice that has one value", errors=errors)


def _faults(parameters: list[str], code: str, detail: str) -> list[dict[str, str]]:
    return [{"pointer": f"?{name[:60]}", "code": code, "detail": detail} for name in parameters[:100]]


def _with_json(request: Request, body: bytes, *, is_wanted: bool) -> Request:
    given = _Given(request.scope, request.receive)
    if not body:
        return given.give(b"", None)
    if json_body.kind_of(request) != "application/json":
        raise Problem(415, "send the body as application/json")
    if not is_wanted:
        raise Problem(400, "no body is read here: leave it out")
    return given.give(body, json_body.parse(body))


async def _context(request: Request) -> Context:
    found: Context = request.state.context
    return found


RequestContext = Annotated[Context, Depends(_context)]


def router(tag: str) -> APIRouter:
    """A router, all of whose routes are operations."""
    return APIRouter(prefix=context.PREFIX, route_class=Operation, tags=[tag], redirect_slashes=False)


def operation(
    on: APIRouter,
    method: str,
    path: str,
    *,
    scope: str,
    answer: Any = None,
    status: int = 200,
    of_all: bool = False,
    file_types: tuple[str, ...] = (),
    streams: tuple[str, ...] = (),
    also: int | None = None,
    later: Any = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """
    Declare an operation; its id is the function's name, its summary the first line of the docstring.

    Args:
        scope: what the token must have; '' for any token.
        answer: the model of the answer.
        of_all: only for tokens of no business.
        file_types: content types of a body that is read as it comes.
        streams: content types of an answer that is written as it is made.
        also: another status that has the same answer.
        later: the model of what is answered with 202, before the work is done.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        extra: dict[str, Any] = {"x-scope": scope, "x-of-all": of_all, "x-file": bool(file_types)}
        if file_types:
            extra["requestBody"] = _file(file_types)
        responses: dict[int | str, dict[str, Any]] = {**_PROBLEMS}
        if streams:
            responses[status] = _stream(streams)
        if also is not None:
            responses[also] = {"description": "there already", "model": answer}
        if later is not None:
            responses[202] = {"description": "the file has come; `Location` says how its import goes", "model": later}
        on.add_api_route(
            path,
            function,
            methods=[method],
            operation_id=function.__name__,
            status_code=status,
            response_model=answer,
            responses=responses,
            openapi_extra=extra,
        )
        return function

    return register


def _file(types: Iterable[str]) -> dict[str, Any]:
    content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in types}
    return {"required": True, "content": content}


def _stream(types: Iterable[str]) -> dict[str, Any]:
    content = {kind: {"schema": {"type": "string"}} for kind in types}
    return {"description": "the rows, as they are found", "content": content}


def _problem(code: int) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{models.ProblemAnswer.__name__}"}
    return {"description": _STATUSES[code], "content": {"application/problem+json": {"schema": reference}}}


_PROBLEMS: dict[int | str, dict[str, Any]] = {code: _problem(code) for code in _STATUSES}  # all operations have these
