"""The HTTP side of the simulator: Twilio's Calls API, each request answered as the scenario of its number says."""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from aiohttp import web
from multidict import MultiDict

from outbound.simulator import scenarios, twilio_errors
from outbound.simulator.call_store import CallStore, sorted_log
from outbound.simulator.list_calls import page_of
from outbound.simulator.scenarios import Reply
from outbound.simulator.simulated_call import API, SimulatedCall
from outbound.simulator.twilio_errors import Fault, Form

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class CallsApi:
    """
    The requests that each account may make of its store, and of no other.

    Args:
        stores, tokens: by the accounts' SIDs.
        stall_s: see `Simulator`.
    """

    def __init__(self, stores: Mapping[str, CallStore], tokens: Mapping[str, str], *, stall_s: float) -> None:
        self._stores = stores
        self._keys = {
            account: b"Basic " + base64.b64encode(f"{account}:{token}".encode()) for account, token in tokens.items()
        }
        self._stall_s = stall_s

    def app(self) -> web.Application:
        app = web.Application()
        calls = f"/{API}/Accounts/{{account}}/Calls"
        for method, path, handler in (
            ("POST", f"{calls}.json", self._create),
            ("GET", f"{calls}.json", self._list),
            ("GET", f"{calls}/{{call}}.json", self._fetch),
            ("POST", f"{calls}/{{call}}.json", self._update),
            ("GET", "/simulator/log", self._log),
            ("POST", "/simulator/reset", self._reset),
            ("GET", "/simulator/scenarios", self._scenarios),
        ):
            app.router.add_route(method, path, self._guarded(handler))
        app.router.add_route("*", "/{nothing:.*}", _nothing_here)
        return app

    def _guarded(self, handler: Handler) -> Handler:
        """Let in who knows the key of an account, to that account."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            given = request.headers.get("Authorization", "").encode()
            accounts = [account for account, key in self._keys.items() if hmac.compare_digest(given, key)]
            if not accounts:
                return _say(twilio_errors.WRONG_KEY, {"WWW-Authenticate": 'Basic realm="Twilio API"'})
            if request.match_info.get("account", accounts[0]) != accounts[0]:
                return _say(twilio_errors.NOT_FOUND)
            return await handler(request)

        return guarded

    def _store(self, request: web.Request) -> CallStore:
        return self._stores[request.match_info["account"]]

    async def _create(self, request: web.Request) -> web.StreamResponse:
        store = self._store(request)
        at = datetime.now(UTC)  # the head is here; how long the body takes is another matter
        form = await _form_of(request)
        entry = store.note(form, at)
        fault = twilio_errors.fault_in(form)
        if fault is not None:
            return _say(fault)

        scenario = scenarios.scenario_of(form["To"])
        if store.throttles(form["To"], scenario):
            entry.outcome = "not_accepted"
            return _say(twilio_errors.TOO_MANY_REQUESTS)
        if scenario.accepted:
            return await self._reply_accepted(request, store.accept(form, scenario, entry))

        entry.outcome = "refused" if scenario.fault and scenario.fault.status < 500 else "not_accepted"
        return _say(scenario.fault) if scenario.fault else _cut(request)

    async def _reply_accepted(self, request: web.Request, call: SimulatedCall) -> web.StreamResponse:
        """Answer a create request that did make a call, as well or as badly as its scenario says."""
        created = web.json_response(call.resource(), status=201)
        match call.scenario.reply:
            case Reply.FAULT:
                return _say(call.scenario.fault or twilio_errors.SERVER_ERROR)
            case Reply.CUT:
                return _cut(request)
            case Reply.GARBLED:
                return web.Response(text="<html>Created, says the proxy", status=201, content_type="text/html")
            case Reply.STALLED:
                await asyncio.sleep(self._stall_s)
            case Reply.OVERTAKEN:
                await call.told.wait()
        return created

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        call = self._store(request).calls.get(request.match_info["call"])
        return _say(twilio_errors.NOT_FOUND) if call is None else web.json_response(call.resource())

    async def _update(self, request: web.Request) -> web.StreamResponse:
        form = await _form_of(request)
        call = self._store(request).calls.get(request.match_info["call"])
        if call is None:
            return _say(twilio_errors.NOT_FOUND)
        fault = _fault_in_update(call, form)
        if fault is not None:
            return _say(fault)

        if call.answered_at is None and form.get("Status"):
            self._store(request).end(call, "canceled")  # A call nobody answered cannot be 'completed'.
        elif form.get("Status") == "completed":
            self._store(request).end(call, "completed")
        return web.json_response(call.resource())

    async def _list(self, request: web.Request) -> web.StreamResponse:
        try:
            return web.json_response(page_of(self._store(request), request.rel_url))
        except (KeyError, ValueError):
            return _say(twilio_errors.BAD_PARAMETER)

    async def _log(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(sorted_log(self._stores.values()))

    async def _reset(self, _request: web.Request) -> web.StreamResponse:
        for store in self._stores.values():
            await store.reset()
        return web.Response(status=204)

    async def _scenarios(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(scenarios.scenario_rows())


async def _form_of(request: web.Request) -> Form:
    return MultiDict((name, str(value)) for name, value in (await request.post()).items())


def _say(fault: Fault, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(fault.body(), status=fault.status, headers=headers)


def _cut(request: web.Request) -> web.Response:
    """Drop the connection; the response is a formality that nobody gets."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _nothing_here(_request: web.Request) -> web.StreamResponse:
    return _say(twilio_errors.NOT_FOUND)


def _fault_in_update(call: SimulatedCall, form: Form) -> Fault | None:
    """
    Return why this update cannot be; a cancel that comes too late for a call in progress is none: it does nothing.
    """
    if call.is_over:
        return twilio_errors.CALL_IS_OVER
    if form.get("Status", "completed") not in ("completed", "canceled"):
        return twilio_errors.BAD_PARAMETER
    redirects = form.get("Url") or form.get("Twiml")
    return twilio_errors.NOT_IN_PROGRESS if redirects and call.status != "in-progress" else None
