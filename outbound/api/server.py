"""The API process: how its application is served."""

import uvicorn
from starlette.types import ASGIApp

from outbound.api.files import FILE_MAX
from outbound.web.protocol import BoundedHttp
from outbound.web.server import make


class ApiHttp(BoundedHttp):
    """One connection; a file may come, and a list may be answered, for as long as an hour."""

    body_max = FILE_MAX + 1
    request_s = 3600.0
    answer_s = 3600.0

    def on_message_begin(self) -> None:
        """A request begins; its `state` keeps the socket's peer, in whose place the server puts X-Forwarded-For."""
        super().on_message_begin()
        self.scope["state"]["peer"] = self.client[0] if self.client else None


def server(application: ASGIApp, host: str, port: int) -> uvicorn.Server:
    """A server for it; call `run()`."""
    return make(application, host, port, protocol=ApiHttp)
