"""The API process: how its application is served."""

import gc
import importlib

import uvicorn
from starlette.types import ASGIApp

from outbound.api import problem
from outbound.api.files import FILE_MAX
from outbound.config import settings
from outbound.errors import UserError
from outbound.processes import systemd_notify
from outbound.web.protocol import TEXTS, BoundedHttp, last_answer
from outbound.web.server import make

_RETRY_S = 5  # after which there may be room for a connection


class ApiHttp(BoundedHttp):
    """One connection; a file may come, and a list may be answered, for as long as an hour."""

    body_max = FILE_MAX + 1
    request_s = 3600.0
    answer_s = 3600.0

    def on_message_begin(self) -> None:
        """A request begins; its `state` keeps the socket's peer, in whose place the server puts X-Forwarded-For."""
        super().on_message_begin()
        self.scope["state"]["peer"] = self.client[0] if self.client else None
        self.scope["state"]["is_let_in"] = self.is_let_in

    def on_headers_complete(self) -> None:
        """The head is there; without one Host it is refused, as a proxy and we might each take it for another's."""
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (not hosts and self.parser.get_http_version() != "1.0"):
            self._stop("malformed", 400)
        super().on_headers_complete()

    def is_let_in(self) -> None:
        """The request was let in by its head: its body is broken off last where there are too many connections."""
        self._all.is_let_in(self)

    def refusal(self, status: int) -> bytes:
        """It is a problem like others, in English: what language is asked for may not have come."""
        headers = {"retry-after": str(_RETRY_S)} if status == 503 else {}
        said = problem.response(
            problem.Problem(status, TEXTS[status], code="busy" if status == 503 else None, headers=headers), "en"
        )
        return last_answer(status, dict(said.headers), bytes(said.body))


def server(application: ASGIApp, host: str, port: int) -> uvicorn.Server:
    """A server for it; call `run()`."""
    return make(application, host, port, protocol=ApiHttp)


def run(module: str) -> None:
    """
    Serve `app()` of a module, on systemd's sockets where it listens for us, until a signal ends it.

    Raises:
        UserError: the port cannot be had, or a setting cannot be used.
    """
    application = importlib.import_module(module).app()
    serving = server(application, settings().api_host, settings().api_port)
    gc.collect()
    gc.freeze()  # what is imported stays, and to look through it takes longer than a request
    try:
        serving.run(sockets=systemd_notify.inherited_sockets() or None)
    except SystemExit:  # uvicorn's way to say that it cannot listen
        if serving.started or serving.should_exit:
            raise
        raise UserError(f"port {settings().api_port} cannot be had: set OUTBOUND_API_PORT") from None
