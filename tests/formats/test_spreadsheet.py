"""Cells that people open in a spreadsheet."""

import csv
import io
import random
import re
from datetime import UTC, datetime

import pytest

from outbound.formats.spreadsheet import Writer, cell

SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"
ODD = [
    *(f"{sign}1+1" for sign in SIGNS),
    *(f"a;{sign}1+1" for sign in SIGNS),
    '=HYPERLINK("x")',
    "  =1+1",
    "a; =1+1",
    "a;\u00a0=1+1",
    'a;"=1+1"',
    'a, "b";"=1+1',
    "a;;=1+1",
    ";=1+1;=2+2",
    "a\t=1+1",
    "a\n=1+1",
    "a;\n=1+1",
    "a;\t=1+1",
    "5;@SUM(A1)",
    "a, b;=1+1",
]


def is_run(one: str) -> bool:
    """Would a spreadsheet run it?  What stands in quotation marks is looked at as well."""
    bare = re.sub(r"""^[\s"]+""", "", one)
    return bare.startswith(tuple(SIGNS)) and not re.fullmatch(r"[+-][0-9]+", bare)


@pytest.mark.parametrize("text", ODD)
def test_no_cell_is_run_where_commas_semicolons_or_tabs_part_cells(text: str) -> None:
    out = io.StringIO()
    writer = Writer(("id", "text", "number"), out)

    writer.write({"id": 1, "text": text, "number": "+12125550101"})

    line = out.getvalue().split("\n", 1)[1]
    for by in ",;\t":
        parted = next(csv.reader(io.StringIO(line), delimiter=by))
        for one in (*parted, *line.rstrip("\n").split(by)):
            assert not is_run(one), (by, one)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Dana; 12 Main St", "Dana; 12 Main St"),
        ("a;=1", "a;'=1"),
        ("a;+12125550101", "a;+12125550101"),
        ("a;-5;=1", "a;-5;'=1"),
        ("a;-5+1", "a;'-5+1"),
        ("a;'=1", "a;'=1"),
        ("a;b-c", "a;b-c"),
        ("+12125550101", "+12125550101"),
        ("-5", "-5"),
        ("=1;=2", "'=1;'=2"),
    ],
)
def test_a_cell_has_an_apostrophe_only_where_something_would_be_run(text: str, shown: str) -> None:
    assert cell(text) == shown


def test_a_row_has_the_cells_that_each_value_alone_would_have() -> None:
    chance = random.Random(7)
    pieces = [*"aZ09_.:+- ,;\"'\n\0=@", "+12125550101", "2026-11-27T09:00:00+00:00", "é", "\uff1d"]
    plain = [None, True, 0, -5, "", "queued", "+12125550101", "a b", datetime(2026, 11, 27, 9, tzinfo=UTC)]
    columns = [f"column_{number}" for number in range(5)]
    for _ in range(5000):
        odd = ["".join(chance.choices(pieces, k=chance.randint(0, 4))) for _ in range(chance.choice((0, 0, 1, 5)))]
        values = chance.sample([*odd, *chance.choices(plain, k=5)], 5)
        out, wanted = io.StringIO(), io.StringIO()

        Writer(columns, out).write(dict(zip(columns, values, strict=True)))

        csv.writer(wanted, lineterminator="\n").writerows([columns, [cell(value) for value in values]])
        assert out.getvalue() == wanted.getvalue(), values


def test_a_page_of_texts_has_the_cells_that_each_text_alone_would_have() -> None:
    chance = random.Random(11)
    pieces = [
        *"aZ09_.:+- ,;\"'\r\n\0=@{",
        "+12125550101",
        "+1",
        "\u05d0\u05d1",
        "\U0001f600",
        "\uff1d",
        "\u202e",
        "\u0661",
    ]
    plain = [None, "", "queued", "+12125550101", "+12345", "a b", "2026-11-27T09:00:00+00:00", "CA0f", "9"]
    columns = ["one", "two", "three"]
    for _ in range(20_000):
        odd = ["".join(chance.choices(pieces, k=chance.randint(1, 3))) for _ in range(chance.choice((0, 0, 1, 2)))]
        texts = chance.sample([*odd, *chance.choices(plain, k=9)], 9)
        rows = [texts[:3], texts[3:6], texts[6:]]
        out, wanted = io.StringIO(), io.StringIO()

        Writer(columns, out).write_texts(rows)

        csv.writer(wanted, lineterminator="\n").writerows([columns, *([cell(text) for text in row] for row in rows)])
        assert out.getvalue() == wanted.getvalue(), rows
