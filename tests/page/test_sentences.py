"""Sentences of other parts of the program, as the page shows them."""

import re

from playwright.sync_api import expect

from outbound.page import words
from outbound.rules import control, limits
from outbound.rules.scope import scope_of
from tests.conftest import World
from tests.page.conftest import SignIn
from tests.page.rows import Rows


def test_what_comes_from_outside_stays_escaped_and_isolated() -> None:
    he, en = words.of("he"), words.of("en")
    shown = he.sentence("<b>x</b> owns the tables: anyone who gets DATABASE_URL can drop them")
    assert "<bdi>&lt;b&gt;x&lt;/b&gt;</bdi>" in shown
    assert "<b>" not in he.sentence("migrate as its owner, or `grant create on schema <b> to me`")
    assert "<b>" not in en.sentence("say `<b>` to <b>nobody</b>")
    assert en.sentence("say `a`") == '<span lang="en" dir="ltr">say <code dir="ltr">a</code></span>'
    assert "lang=" in he.sentence("nobody has a text for this")
    assert "lang=" in he.sentence("missing: " + "x" * 3000), "a text is looked through up to a length"


def test_health_is_in_hebrew(world: World, sign_in: SignIn, page_url: str) -> None:
    tab = sign_in("he")
    tab.goto(f"{page_url}/health")
    english = tab.locator("main span[lang=en]").all_inner_texts()
    assert [text for text in english if not re.match(r"PostgreSQL|Valkey|Redis|public|noeviction|http|0 ", text)] == []


def test_a_preview_is_in_hebrew(world: World, rows: Rows, sign_in: SignIn, page_url: str) -> None:
    limits.set_limits(scope_of("campaign", str(rows.campaign)), live_max="2", calls_per_day="0", actor="Dana")
    control.pause(scope_of("business", str(rows.business)), reason=None, actor="Dana")
    tab = sign_in("he")
    tab.goto(f"{page_url}/campaigns/{rows.campaign}/preview")
    assert tab.locator("main .needs li").count() == 2
    expect(tab.locator("dl.numbers")).to_contain_text("הקמפיין")
    assert tab.locator("main span[lang=en]").all_inner_texts() == []
