"""A server that takes webhooks: it answers as a test says, and keeps what came."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Post(NamedTuple):
    """One webhook as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """The id of its event."""
        return self.headers["webhook-id"]


class Answer(NamedTuple):
    """What is answered: a status, headers and a body; a status of 0 closes the connection without a word."""

    status: int = 204
    headers: dict[str, str] = {}  # noqa: RUF012 (never changed)
    body: bytes = b""


class Receiver:
    """Where it listens, what came, and what it answers next."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.answer: Callable[[Post], Answer] = lambda _: Answer()
        self.url = ""

    @property
    def ids(self) -> list[str]:
        """The ids of what came, in its order."""
        return [post.id for post in self.posts]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on loopback for as long as the block lasts."""
    receiver = Receiver()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            post = Post(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            with lock:
                receiver.posts.append(post)
                answer = receiver.answer(post)
            if not answer.status:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in {**answer.headers, "content-length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/events"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
