"""What the prose check finds, and what it leaves alone."""

import pytest

from tests import prose


def found(texts: "list[prose.Text]") -> list[tuple[int, str]]:
    return [(line, words) for text in texts for line, words, _ in prose.faults(text)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('def f():\n    """The same for one report."""\n', [(2, "The same")]),
        ('def f():\n    """No."""\n', [(2, "No.")]),
        ('def f():\n    """\n    See `g`.\n    """\n', [(3, "See")]),
        ('"""Whom nobody may call."""\n', [(1, "Whom")]),
        ("x = 1\n# Calls are\n# let go by whoever asks.\n", [(3, "let go"), (3, "whoever")]),
        ("# A call is let\n# go here.\n", [(1, "let go")]),
        ("x = 1  # nobody need read it\n", [(1, "nobody need")]),
        ('tell(f"{n} calls of this house", style="bold")\n', [(1, "house")]),
        (
            'class BadCall(UserError): ...\nclass BadDay(BadCall): ...\nraise BadDay(f"{x}: ask anew")\n',
            [(3, "anew")],
        ),
        ('typer.Option(\n    help="Who decided it.")\n', [(2, "Who")]),
        ('"""Delete it.  Who needs it\ncopies it, but for its name."""\n', [(2, "but for"), (1, "Who")]),
        ('"""Begin again should the nudge get lost."""\n', [(1, "should the")]),
    ],
)
def test_what_is_banned_is_found_in_python(source: str, expected: list[tuple[int, str]]) -> None:
    printing = prose.PRINTING | prose.OPTIONS | prose.user_errors([source])

    assert found(list(prose.python_texts(source, printing))) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""Do not follow redirects."""\n',
        'def f():\n    """Who may call this number?"""\n',
        'def f():\n    """Seen on the same day."""\n',
        'print("whoever")\n',
        'def whoever():\n    """Wait for the warehouse."""\n',
    ],
)
def test_other_texts_of_python_are_left_alone(source: str) -> None:
    assert found(list(prose.python_texts(source, prose.PRINTING))) == []


def test_comments_of_sql_are_read_but_not_names_and_strings() -> None:
    source = "-- name: let_go(whoever)\n-- Delete calls.\n-- Then let go.\nselect 'whoever' -- The same\n  from house\n"

    assert found(list(prose.sql_texts(source, only_above=False))) == [(3, "let go"), (4, "The same")]
    assert found(list(prose.sql_texts("select 1; -- whoever\n", only_above=True))) == []


def test_banned_words_are_found_in_every_text_that_people_may_see_and_beginnings_are_not() -> None:
    source = '"""Whoever asks."""\nx = ["ask whoever", "whoever", "Who asks"]\ntext = {\n"a": "let go of it"}\n'

    assert sorted(found(list(prose.other_texts(source)))) == [(2, "whoever"), (4, "let go")]
    assert found(list(prose.page_texts('{\n "a.b": "Who did it",\n "c": "as told"\n}\n'))) == [(3, "told")]


def test_names_are_read_word_by_word() -> None:
    source = "class OldHouse: ...\ndef warehouse(): ...\nasync def run(duty_s): ...\nladder = houseboat = 1\n"

    assert [(line, name) for line, name, _ in prose.banned_names(source)] == [
        (1, "OldHouse"),
        (4, "ladder"),
        (3, "duty_s"),
    ]
