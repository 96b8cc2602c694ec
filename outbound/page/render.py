"""Makes answers: HTML from templates, and the headers under which a browser runs nothing but our own script."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from outbound.page import words

_FOLDER = Path(__file__).parent
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": _POLICY,
    "referrer-policy": "same-origin",  # with no-referrer, a form would be sent with `Origin: null`
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"masked": words.masked, "spaced": words.spaced}
    return environment


def text(template: str, language: str, values: dict[str, Any]) -> str:
    """The text that a template makes in a language; `t` in it are the language's words."""
    return _environment().get_template(template).render({"t": words.of(language)} | values)


def response(content: str, status: int = 200) -> Response:
    """The answer that shows this HTML."""
    return HTMLResponse(content, status, headers=HEADERS)
