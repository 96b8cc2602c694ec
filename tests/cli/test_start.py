"""What a command imports before it does anything: the libraries of its work are imported when the work begins."""

import os
import subprocess
import sys
from pathlib import Path

from tests import ROOT

# Of the program's own libraries, those that take long; of rich, what typer.rich_utils names and does not need.
SLOW = {
    *("aiohttp", "aiosql", "asyncio", "dramatiq", "markdown_it", "openpyxl", "phonenumbers", "psycopg", "pygments"),
    *("redis", "requests", "rich.live", "rich.markdown", "rich.progress", "rich.traceback"),
    *("structlog", "twilio", "uvicorn", "yoyo", "outbound.config", "outbound.db", "outbound.logs"),
}

HELP_OF_EACH_MODULE = f"""
import sys
from outbound.cli import app
from outbound.cli.help import PANELS

def main(*arguments):
    sys.argv = ["outbound", *arguments]
    try:
        app.main()
    except SystemExit as ended:
        assert not ended.code, arguments

main("--version")
main("--help")
assert "pydantic" not in sys.modules
a_command_of = {{module: name for commands in PANELS.values() for name, (module, _) in commands.items()}}
for name in a_command_of.values():
    main(name, "--help")
    slow = {SLOW!r} & {{*sys.modules}}
    assert not slow, (name, slow)
"""

AN_ERROR = """
import sys
from outbound import late_imports, logs
from outbound.cli import app
from outbound.cli.help import NOT_FOR_HELP

late_imports.load("typer.rich_utils", NOT_FOR_HELP)
logs.set_up()
assert not {*NOT_FOR_HELP} & {*sys.modules}
try:
    1 / 0
except ZeroDivisionError as error:
    import typer.models, typer.rich_utils
    config = typer.models.DeveloperExceptionConfig(pretty_exceptions_show_locals=False)
    typer.rich_utils._get_rich_console().print(typer.rich_utils.get_traceback(error, config, []))
print(typer.rich_utils._make_rich_text(text="**bold**", markup_mode="markdown").markup)
assert {*NOT_FOR_HELP} <= {*sys.modules}
"""

AN_API_PROCESS = """
import runpy, sys, types

def app():
    import outbound.api.app, uvicorn

    outbound.api.app.app()
    loaded = {name for name, module in sys.modules.items() if module is not None}
    needless = {"click", "dramatiq", "multiprocessing", "pydantic.v1", "redis", "rich", "typer", "xml.sax", "yoyo"}
    needless |= {"fastapi.openapi.models", "fastapi.security.oauth2"}
    needless &= loaded
    assert not needless, needless
    with open("ops/openapi.json", encoding="utf-8") as committed:
        assert outbound.api.app.document_text() == committed.read()
    assert not uvicorn.Server(uvicorn.Config(None)).started
    print("the application was made")
    sys.exit()

sys.modules["served"] = types.SimpleNamespace(app=app)
sys.argv = ["outbound.api", "served"]
runpy.run_module("outbound.api", run_name="__main__", alter_sys=True)
"""


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_help_imports_nothing_that_only_the_work_of_a_command_needs() -> None:
    done = python(HELP_OF_EACH_MODULE)

    assert done.returncode == 0, done.stderr
    assert "What is going on" in done.stdout


def test_what_is_imported_late_is_there_when_it_is_needed() -> None:
    done = python(AN_ERROR)

    assert done.returncode == 0, done.stderr
    assert "ZeroDivisionError: division by zero" in done.stdout
    assert "**bold**" in done.stdout


def test_an_api_process_that_serves_no_page_holds_nothing_that_it_does_not_serve_with() -> None:
    done = python(AN_API_PROCESS)

    assert done.returncode == 0, done.stderr
    assert "the application was made" in done.stdout


def test_ctrl_c_while_modules_are_imported_says_nothing(tmp_path: Path) -> None:
    """Seen with an import of a file that was stopped at once: twenty lines of Python's own importing."""
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    command, given = [sys.executable, "-m", "outbound", "--version"], os.environ | {"PYTHONPATH": str(tmp_path)}

    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=given, timeout=60)

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
