"""
Finds banned words and unclear first sentences in the texts of the code: `python -m tests.prose`, run by `make check`.

It reads docstrings and comments of Python, comments of SQL, the texts that commands print, and the names that Python
gives to modules, classes, functions, arguments and variables.  Of sql/functions and
sql/views it reads what stands above the definition: the definition itself is compared with the migrations.
In every other text of the program and of the page, which people may see, it looks for banned words alone.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent

# (pattern, what to write instead).  A pattern of WORDS is found as whole words anywhere in a text; one of BEGINNINGS at
# its start, unless the first sentence is a question.
WORDS = (
    (r"lets? go", "release, resume, delete"),
    (r"who(m?)ever", "name the process or the person"),
    (r"at home", "local"),
    (r"houses?", "system"),
    (r"couriers?", "callback sender"),
    (r"errands?", "task"),
    (r"bells?", "wake-up key"),
    (r"nobody needs?", "nothing depends on it, or what follows from that"),
    (r"hear(s|ing)? out", "finish the open requests"),
    (r"signs? of life", "heartbeat"),
    (r"as whom?", "name the role"),
    (r"side by side", "concurrently, or one beside the other"),
    (r"told", "reported, called with, known from"),
    (r"heard", "reported, received, last contact"),
    (r"fates?", "outcome, scenario"),
    (r"doors?", "process, endpoint, command"),
    (r"ladders?", "retry policy"),
    (r"dut(y|ies)", "maintenance task"),
    (r"anew", "again; `recompute`, `check again`"),
    (r"but for", "except, or `without`"),
    (r"should (an?|the|it|that|one|its)", "if"),
    (r"(?:(?<=[.] )|(?<=[.]  ))Who(m|ever)?(?![^.?]*\?)", "name the person, the role or the process"),
    (r"gone on with", "continued"),
)
BEGINNINGS = (
    (r"The (same|opposite)\b", "say what it is: the text above may not be the one that is meant"),
    (r"(No|Begin|End)\.", "say what it does"),
    (r"See ", "say what it does, then `see ...`"),
    (r"Who(m|ever)?\b", "name the person, the role or the process"),
)
# Of names, these are found as whole words: in `old_house` and in `OldHouse`, not in `warehouse`.
NAMES = (
    (r"houses?", "system, cluster, servers"),
    (r"couriers?", "callback sender"),
    (r"errands?", "task"),
    (r"bells?", "wake-up key"),
    (r"storms?", "faults, load"),
    (r"doors?", "process, endpoint, command"),
    (r"ladders?", "retry policy"),
    (r"duty|duties", "maintenance task"),
)
# Functions whose arguments people read, beside `UserError` and the classes that derive from it.
PRINTING = frozenset({"say", "tell", "tell_done", "tell_added", "tell_changed", "tell_import"})
OPTIONS = frozenset({"Option", "Argument", "Typer", "BadParameter", "UsageError"})


class Text(NamedTuple):
    """A docstring, a block of comments or a printed text, and the line of the file where it begins."""

    line: int
    text: str
    is_whole: bool = True  # else it may be a title or a part of a sentence, whose beginning says nothing


def faults(found: Text) -> Iterator[tuple[int, str, str]]:
    """Line, banned words and what to write instead, for each fault of a text."""
    for pattern, instead in BEGINNINGS:
        match = re.match(pattern, found.text)
        if match and found.is_whole and not re.match(r"[^.?]*\?", found.text):
            yield found.line, match[0].strip(), instead
    for pattern, instead in WORDS:
        for match in re.finditer(rf"\b(?:{pattern})\b", re.sub(r"\s", " ", found.text), re.IGNORECASE):
            yield found.line + found.text.count("\n", 0, match.start()), match[0], instead


def user_errors(sources: Iterable[str]) -> frozenset[str]:
    """The names of `UserError` and of all classes that derive from it."""
    bases = {
        node.name: {_name(base) for base in node.bases}
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef)
    }
    found = {"UserError"}
    while more := {name for name, over in bases.items() if over & found} - found:
        found |= more
    return frozenset(found)


def python_texts(source: str, printing: frozenset[str]) -> Iterator[Text]:
    """Docstrings, comments, and string arguments of the functions and classes in *printing*."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node):
                first = node.body[0]
                yield _stripped(first.lineno, ast.get_docstring(node, clean=False) or "")
        elif isinstance(node, ast.Call) and _name(node.func) in printing:
            for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                yield Text(argument.lineno, _literal(argument))
    yield from _python_comments(source)


def other_texts(source: str) -> Iterator[Text]:
    """The string constants of two words or more that are no docstrings."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings and " " in _literal(node).strip():
            yield Text(node.lineno, _literal(node), is_whole=False)


def page_texts(catalogue: str) -> Iterator[Text]:
    """The texts of a catalogue of the page, one a line behind its key."""
    for number, line in enumerate(catalogue.splitlines(), start=1):
        yield Text(number, line.partition(": ")[2], is_whole=False)


def sql_texts(source: str, *, only_above: bool) -> Iterator[Text]:
    """Blocks of comments, and comments behind a line; *only_above*: the first block alone."""
    block: list[str] = []
    for number, line in enumerate([*source.splitlines(), ""], 1):
        own = re.match(r"\s*--\s?(?!\s*name:)(.*)", line)
        if own:
            block.append(own[1])
            continue
        if block:
            yield Text(number - len(block), "\n".join(block))
            block = []
        if only_above:
            return
        behind = re.search(r"\S.*\s--\s([^']*)$", line)
        if behind:
            yield Text(number, behind[1])


def texts() -> Iterator[tuple[Path, Text]]:
    """
    Each text of outbound, sql, the examples and the tests, with its file.

    Left out are sql/migrations and their copies.
    """
    program = sorted((ROOT / "outbound").rglob("*.py"))
    tests = sorted((ROOT / "tests").rglob("*.py"))
    printing = PRINTING | OPTIONS | user_errors(path.read_text() for path in program)
    for path in [*program, *sorted((ROOT / "examples").rglob("*.py")), *tests]:
        if path != Path(__file__):
            yield from ((path, found) for found in python_texts(path.read_text(), printing))
    for path in program:
        yield from ((path, found) for found in other_texts(path.read_text()))
    english = ROOT / "outbound" / "page" / "words" / "en.json"
    yield from ((english, found) for found in page_texts(english.read_text()))
    for path in sorted((ROOT / "sql").rglob("*.sql")):
        if path.parent.name != "migrations" and path.name != "schema.sql":
            only_above = path.parent.name in ("functions", "views")
            yield from ((path, found) for found in sql_texts(path.read_text(), only_above=only_above))


def banned_names(source: str) -> Iterator[tuple[int, str, str]]:
    """Line, name and what to write instead, for each name that this module gives and that holds a banned word."""
    for node in ast.walk(ast.parse(source)):
        for pattern, instead in NAMES:
            if re.search(rf"(?:^|_)(?:{pattern})(?:_|$)", _snake(_given_name(node))):
                yield getattr(node, "lineno", 1), _given_name(node), instead


def _given_name(node: ast.AST) -> str:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return node.name
    if isinstance(node, ast.arg):
        return node.arg
    return node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else ""


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _python_comments(source: str) -> Iterator[Text]:
    """Blocks of whole-line comments, and comments behind code one by one."""
    block: list[str] = []
    last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        is_own = not token.line[: token.start[1]].strip()
        text = token.string.lstrip("#: ")
        if block and not (is_own and token.start[0] == last + 1):
            yield Text(last - len(block) + 1, "\n".join(block))
            block = []
        if is_own:
            block.append(text)
            last = token.start[0]
        else:
            yield Text(token.start[0], text)
    if block:
        yield Text(last - len(block) + 1, "\n".join(block))


def _stripped(line: int, text: str) -> Text:
    rest = text.lstrip()
    return Text(line + text[: len(text) - len(rest)].count("\n"), rest)


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _literal(node: ast.AST) -> str:
    parts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
    return " ".join(part for part in parts if isinstance(part, str))


def main() -> int:
    """Print each fault; 1 if there is one."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {words!r} ({instead}): {text.text.splitlines()[line - text.line].strip()}"
        for path, text in texts()
        for line, words, instead in faults(text)
    ]
    for path in sorted([*(ROOT / "outbound").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]):
        named = [*banned_names(path.read_text()), *banned_names(f"{path.stem.replace('-', '_')} = 1")]
        found += [f"{path.relative_to(ROOT)}:{line}: {name!r} ({instead})" for line, name, instead in named]
    sys.stdout.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
