"""docs/architecture.md, the glossary and CONTRIBUTING.md: what they draw, list and name is what there is."""

import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from outbound.database import migrations
from tests import ROOT
from tests.conftest import World
from tests.test_docs import commands, missing, sections, text

PAGE = "docs/architecture.md"
README_LINES_MAX = 120
# Foreign keys as the diagram writes them: || where the row must have one, |o where not; o| where there is one at most.
FOREIGN_KEYS = """
    select parent.relname || case when bool_and(attnotnull) then ' ||--' else ' |o--' end
           || case when exists (
                  select
                    from pg_index
                   where indrelid = conrelid
                     and indisunique
                     and indpred is null
                     and indexprs is null
                     and indkey::smallint[] <@ conkey
              ) then 'o| ' else 'o{ ' end
           || child.relname || ' : "' || string_agg(attname, ', ' order by place) || '"' as drawn
      from pg_constraint
     inner join pg_class as child on child.oid = conrelid
     inner join pg_class as parent on parent.oid = confrelid
     cross join lateral unnest(conkey) with ordinality as key (number, place)
     inner join pg_attribute on attrelid = conrelid and attnum = number
     where contype = 'f' and connamespace = current_schema()::regnamespace
     group by pg_constraint.oid, child.relname, parent.relname, conrelid, conkey
"""


def diagrams(name: str, kind: str) -> list[str]:
    """The mermaid diagrams of one kind that a page has."""
    found = [body for body in re.findall(r"^```mermaid\n(.*?)^```$", text(name), re.M | re.S) if body.startswith(kind)]
    assert found, f"{name} has no {kind}"
    return found


def nodes(drawn: str, group: str | None = None) -> set[str]:
    """The nodes of a flowchart, or those inside one subgraph of it."""
    if group is not None:
        drawn = re.findall(rf"^ *subgraph {group}\b.*?\n(.*?)^ *end$", drawn, re.M | re.S)[0]
    return set(re.findall(r'(\w+)\[\(?"', drawn))


def body_of(name: str, title: str) -> str:
    return next(section.body for section in sections(name) if section.title == title)


def services() -> dict[str, dict[str, Any]]:
    """What compose starts, without what does nothing and holds the network of others."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(text("ops/compose.yaml"))["services"]
    return {name: service for name, service in found.items() if "entrypoint" not in service}


def units() -> set[str]:
    return {
        path.name.removeprefix("outbound-").split(".")[0].rstrip("@")
        for path in (ROOT / "ops" / "systemd").glob("outbound-*.service")
    }


def test_the_processes_that_are_drawn_are_those_of_compose_and_of_systemd() -> None:
    drawn = diagrams(PAGE, "flowchart")[0]
    ours = {name for name, service in services().items() if (service.get("command") or [""])[0] in commands()}
    watching = {name for name, service in services().items() if service.get("networks") == ["watch"]}

    assert nodes(drawn, "outbound") == ours
    assert nodes(drawn, "monitoring") == watching
    assert nodes(drawn, "stores") == set(services()) - ours - watching
    assert ours - units() == {"simulator"}, "it runs beside the others in a trial, and is no service"
    assert units() <= ours


@pytest.mark.parametrize("name", ["README.md", "README.he.md"])
def test_the_picture_of_the_readme_is_a_part_of_that_of_the_architecture(name: str) -> None:
    drawn = nodes(diagrams(name, "flowchart")[0])

    assert {"worker", "scheduler", "web", "postgres", "redis"} <= drawn
    assert not missing(drawn, nodes(diagrams(PAGE, "flowchart")[0]))


def test_the_tables_that_are_drawn_are_those_of_the_database_with_their_foreign_keys(world: World) -> None:
    drawn = {line.strip() for line in diagrams(PAGE, "erDiagram")[0].splitlines()[1:]}
    keys = {line for line in drawn if "--" in line}
    tables = {word for line in drawn for word in re.findall(r"^(\w+)|(?<=[{|] )(\w+) :", line) for word in word if word}

    assert sorted(keys) == sorted(row.drawn for row in world.rows(FOREIGN_KEYS))
    assert sorted(tables) == sorted(migrations.known_tables())


def test_every_folder_is_in_the_list_of_folders_and_no_other() -> None:
    written = re.findall(r"^\| `outbound/(\w+)` \| .+\?.* \|$", body_of(PAGE, "Folders"), re.M)
    folders = {path.parent.name for path in (ROOT / "outbound").glob("*/__init__.py")}

    assert sorted(written) == sorted(folders)
    contracts = tomllib.loads(text("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["containers"] == ["outbound"])
    floors = [next(n for n, layer in enumerate(layers) if folder in layer.split(" | ")) for folder in written]
    assert floors == sorted(floors), "the list has the order of the layers, from the top down"


def test_every_module_beside_the_folders_is_named_and_no_other() -> None:
    (beside,) = re.findall(r"^Beside the folders: (.*?)\n\n", text(PAGE), re.MULTILINE | re.DOTALL)
    modules = {path.name for path in (ROOT / "outbound").glob("*.py") if not path.name.startswith("__")}

    assert set(re.findall(r"`(\w+\.py)`", beside)) == modules


def walked() -> list[str]:
    titles = ("A callback", "A setting", "An enqueued call", "An event")
    return [name for title in titles for name in re.findall(r"`([\w./]+:[\w.]+)`", body_of(PAGE, title))]


@pytest.mark.parametrize("named", walked())
def test_what_data_passes_exists(named: str) -> None:
    place, _, name = named.partition(":")
    if place.endswith(".sql"):
        assert re.search(rf"^-- name: {name}\(", text(place), re.M), f"{place} has no statement {name}"
        return
    found: Any = import_module(place)
    for part in name.split("."):
        found = getattr(found, part)
    assert callable(found)


@pytest.mark.parametrize(
    "name", [PAGE, "CONTRIBUTING.md", "docs/glossary.md", "docs/faq.md", "README.md", "README.he.md"]
)
def test_every_file_that_is_named_exists(name: str) -> None:
    named = re.findall(r"`((?:outbound|sql|tests|ops|docs)/[\w./-]+\w)`", text(name))

    gone = [path for path in named if not re.search("[A-Z]{2}", path) and not (ROOT / path).exists()]
    assert not gone, f"{name} names what is not there: {', '.join(gone)}"


def test_every_statement_and_function_that_decides_something_is_in_its_file() -> None:
    rows = re.findall(r"^\| .+ \| (.+) \|$", body_of(PAGE, "Who decides what"), re.M)
    pairs = [pair for row in rows for pair in re.findall(r"`([\w/]+\.(?:py|sql))`, `(\w+)`", row)]

    assert pairs
    for file, name in pairs:
        assert re.search(rf"^(?:-- name: |(?:async )?def ){name}\(", text(file), re.M), f"{file} has no {name}"


def test_each_sql_function_that_decides_something_is_in_the_file_that_has_its_latest_form() -> None:
    pairs = re.findall(r"`(sql/[\w/.]+)`, function `(\w+)`", body_of(PAGE, "Who decides what"))

    assert pairs
    for file, name in pairs:
        made = f"create or replace function {name}("
        files = sorted((ROOT / "sql").rglob("*.sql"), key=lambda path: ("functions" in path.parts, path))
        forms = [path for path in files if made in path.read_text() and "rollback" not in path.name]
        assert ROOT / file == forms[-1], f"the latest form of {name} is in {forms[-1].name}"


def test_the_glossary_is_in_the_order_of_the_alphabet() -> None:
    words = [
        word.replace("`", "").lower() for word in re.findall(r"^\| ([^|]+) \| .+ \|$", text("docs/glossary.md"), re.M)
    ]
    entries = words[1:]

    assert entries == sorted(entries)
    assert {"nudge", "lane", "fence", "claim", "dispatch", "reconcile", "in doubt", "scope", "batch", "hold"} <= set(
        entries
    )


def test_the_readme_is_short() -> None:
    assert len(text("README.md").splitlines()) <= README_LINES_MAX


def test_what_make_check_does_is_in_contributing() -> None:
    recipe = re.findall(r"^check:.*\n((?:\t.*\n)+)", text("Makefile"), re.M)[0]
    runs = {line.split()[0] for line in re.findall(r"\$\(BIN\)/(.+)", recipe)}
    written = re.findall(
        r"^\| `([\w-]+)(?: [\w.-]+)*` \| .+ \|$", body_of("CONTRIBUTING.md", "What `make check` does"), re.M
    )

    assert set(written) == runs


def test_the_license_of_the_package_is_the_one_that_lies_beside_it() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]

    assert (project["license"], project["license-files"]) == ("MIT", ["LICENSE"])
    assert text("LICENSE").startswith("MIT License\n\nCopyright (c) 2026 " + project["authors"][0]["name"])
    assert Path(ROOT / "LICENSE").is_file()


def test_each_test_that_proves_a_promise_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", text("docs/promises.md")))
    files = {path.stem: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}

    assert named
    gone = [name for name in named if name not in files and not any(f"def {name}(" in body for body in files.values())]
    assert not gone, f"docs/promises.md names what is no test: {', '.join(sorted(gone))}"
