"""
Write the Python client's operations and models from the API's document: `make openapi`.

The models are the API's own, word for word, on the client's own `bodies.py`; the operations are one method for each
operation of the document.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from outbound.api import app
from tests import ROOT

CLIENT = ROOT / "clients" / "python" / "src" / "outbound_client"
_MOMENTS = {"since", "until", "given_at", "checked_at"}  # parameters
_TYPES = {"integer": "int", "number": "float", "boolean": "bool", "string": "str"}
_HEAD = '''"""Each operation of the API's document as a method.  Written by `make openapi`; do not edit."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import TypeVar

from outbound_client import models
from outbound_client.transport import FILE_TYPE, Asking, Content, file, model, part

T = TypeVar("T")
'''
_CLASS = '''

class {name}:
    """The operations{how}."""

    {async_}def _ask(self, asking: Asking, answer: type[T]) -> T:
        raise NotImplementedError

    def _lines(self, asking: Asking) -> {iterator}[str]:
        raise NotImplementedError
'''


def files() -> dict[Path, str]:
    """What the client's generated files hold."""
    models = (ROOT / "outbound" / "api" / "models.py").read_text()
    models = models.replace("from outbound.api.bodies import", "from outbound_client.bodies import")
    return {CLIENT / "models.py": models, CLIENT / "operations.py": _formatted(operations())}


def _formatted(text: str) -> str:
    ruff = [sys.executable, "-m", "ruff", "format", "--stdin-filename", "operations.py", "-"]
    return subprocess.run(ruff, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def operations() -> str:
    """The methods of both clients."""
    found = [
        (method.upper(), path, about)
        for path, methods in app.document()["paths"].items()
        for method, about in methods.items()
    ]
    parts = [_HEAD]
    for is_async in (False, True):
        names = {
            "name": "AsyncOperations" if is_async else "Operations",
            "how": ", to be awaited" if is_async else "",
            "async_": "async " if is_async else "",
            "iterator": "AsyncIterator" if is_async else "Iterator",
        }
        parts.append(_CLASS.format(**names))
        parts += [_method(*one, is_async=is_async) for one in found]
    return "".join(parts)


def _streamed(about: dict[str, Any]) -> str:
    """The content type of a stream that is read line by line."""
    known = about["responses"]["200"]["content"]
    return next(kind for kind in ("application/x-ndjson", "text/event-stream") if kind in known)


def _method(method: str, path: str, about: dict[str, Any], *, is_async: bool) -> str:
    given = about.get("parameters", [])
    in_path = [one for one in given if one["in"] == "path"]
    in_query = [one for one in given if one["in"] == "query"]
    takes_key = any(one["in"] == "header" for one in given)
    body, is_body_needed = _body(about)
    needed = [f"{_argument(one)}: {_type(one['schema'])}" for one in in_path]
    if body and is_body_needed:
        needed.append(f"body: models.{body}")
    if about["x-file"]:
        needed.append("content: Content")
    optional = [f"body: models.{body} | None = None"] if body and not is_body_needed else []
    named = [f"{_argument(one)}: {_query_type(one)}" for one in in_query if one.get("required")]
    named += [f"{_argument(one)}: {_query_type(one)} | None = None" for one in in_query if not one.get("required")]
    if about["x-file"]:
        named.append("content_type: str = FILE_TYPE")
    if takes_key:
        named.append("idempotency_key: str | None = None")
    arguments = ["self", *needed, *optional, *(["*", *named] if named else [])]
    answer = _answer(about)
    asking = [f'"{method}"', f'{"f" if in_path else ""}"{_path(path, in_path)}"']
    if in_query:
        asking.append("{" + ", ".join(f'"{one["name"]}": {_argument(one)}' for one in in_query) + "}")
    if body:
        asking.append(f"body=model(body, models.{body}{'' if is_body_needed else ' | None'})")
    if about["x-file"]:
        asking.append("content=file(content), content_type=content_type")
    if takes_key:
        asking.append("key=idempotency_key, takes_key=True")
    if answer is None:
        asking.append(f'accept="{_streamed(about)}"')
    asked = f"Asking({', '.join(asking)})"
    summary = about["description"].split("\n\n")[0].replace("\n", " ")
    lines = [f'        """{summary}"""']
    if answer is None:
        kind = "AsyncIterator" if is_async else "Iterator"
        head = f"    def {about['operationId']}({', '.join(arguments)}) -> {kind}[str]:"
        lines.append(f"        return self._lines({asked})")
    else:
        head = f"    {'async ' * is_async}def {about['operationId']}({', '.join(arguments)}) -> models.{answer}:"
        lines.append(f"        return {'await ' * is_async}self._ask({asked}, models.{answer})")
    return "\n" + "\n".join([head, *lines]) + "\n"


def _path(path: str, parameters: list[dict[str, Any]]) -> str:
    """The path as the method fills it; each part is checked and quoted, as `/` or `?` in it would be another path."""
    for one in parameters:
        name = _argument(one)
        path = path.replace(f"{{{one['name']}}}", f"{{part('{name}', {name}, {_type(one['schema'])})}}")
    return path.removeprefix("/v1")


def _argument(parameter: dict[str, Any]) -> str:
    return str(parameter["name"]).replace("-", "_")


def _query_type(parameter: dict[str, Any]) -> str:
    return "str | datetime" if parameter["name"] in _MOMENTS else _type(parameter["schema"])


def _type(schema: dict[str, Any]) -> str:
    for one in schema.get("anyOf", [schema]):
        if one.get("type") == "array":
            return f"list[{_type(one['items'])}]"
        if one.get("type") in _TYPES:
            return _TYPES[one["type"]]
    return "str"


def _body(about: dict[str, Any]) -> tuple[str | None, bool]:
    content = about.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None, False
    schema = content["schema"]
    references = [one["$ref"] for one in schema.get("anyOf", [schema]) if "$ref" in one]
    return references[0].rsplit("/", 1)[1], bool(about["requestBody"].get("required"))


def _answer(about: dict[str, Any]) -> str | None:
    for status in ("200", "201", "202"):
        content = about["responses"].get(status, {}).get("content", {})
        if "application/json" in content and "$ref" in content["application/json"]["schema"]:
            return str(content["application/json"]["schema"]["$ref"]).rsplit("/", 1)[1]
    return None


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
