"""The page for everybody: axe finds nothing, phones need not scroll sideways, and a keyboard is enough."""

import re
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from outbound.page import menu
from outbound.rules import control
from outbound.rules.scope import scope_of
from tests.conftest import World
from tests.page.conftest import SignIn, Watch
from tests.page.rows import Rows

WIDE, NARROW = 1280, 375  # px
# Beside axe in each screen.  Rules that ask for colours take four fifths of axe's time, and there is little to ask
# them again in a narrow window: `redrawn` are the elements that are shown there, and were not so when `drawn` was read.
SCRIPT = (
    Axe().axe_script
    + """;
const OF_COLOURS = ["color-contrast", "link-in-text-block"];
const DRAWN = ["color", "backgroundColor", "backgroundImage", "opacity", "visibility", "textShadow", "fontSize",
  "fontWeight", "textDecorationLine"];
const OF_LINKS = ["borderBottomColor", "borderBottomStyle", "borderBottomWidth"];
const all = () => [...document.querySelectorAll("*")].filter(one => one.checkVisibility());
const asked = one => one.localName === "a" ? [...DRAWN, ...OF_LINKS] : DRAWN;
const drawn = one => asked(one).map(name => getComputedStyle(one)[name]).join();
window.readDrawn = () => new Map(all().map(one => [one, drawn(one)]));
window.redrawn = before => all().filter(one => before.get(one) !== drawn(one));
async function faults(place, options) {
  const found = await axe.run(place, {resultTypes: ["violations"], ...options});
  return found.violations.flatMap(one => one.nodes.map(node => `${one.id}: ${node.html.slice(0, 200)}`));
}
window.faultsOfAll = () => faults(document, {});
window.faultsOfColours = (place = document) => faults(place, {runOnly: OF_COLOURS});
const off = Object.fromEntries(OF_COLOURS.map(id => [id, {enabled: false}]));
window.faultsOfOthers = () => faults(document, {rules: off});
"""
)


def faults(tab: Page) -> list[str]:
    """
    What axe finds light and dark, wide and narrow, and whether the page is wider than the window.

    Media queries of the style sheet alone make the looks, so that a screen need not come again for each; the theme is
    nothing to a rule that asks for no colours.
    """
    found: list[str] = []

    def ask(theme: Literal["light", "dark"], width: int, script: str) -> None:
        tab.emulate_media(color_scheme=theme)
        tab.set_viewport_size({"width": width, "height": 900})
        over = tab.evaluate("document.scrollingElement.scrollWidth - innerWidth")
        faults = tab.evaluate(script) + ([f"{over} px wider than the window"] if over > 0 else [])
        found.extend(f"{tab.url}, {theme}, {width} px: {fault}" for fault in faults)

    ask("light", WIDE, "window.inLight = readDrawn(), faultsOfAll()")
    ask("dark", WIDE, "window.inDark = readDrawn(), faultsOfColours()")
    ask("dark", NARROW, "window.other = redrawn(inDark), other.length ? faultsOfColours(other) : []")
    ask("light", NARROW, "window.other = redrawn(inLight), other.length ? faultsOfColours(other) : []")
    ask("light", NARROW, "faultsOfOthers()")
    return found


@pytest.mark.timeout(300)  # each screen four times
@pytest.mark.parametrize("language", ["en", "he"])
def test_axe_finds_nothing_on_any_screen(
    rows: Rows, page_url: str, sign_in: SignIn, watch: Watch, language: str
) -> None:
    tab = sign_in(language)
    tab.context.add_init_script(SCRIPT)  # sent to the browser once, and not again for each screen
    found = []
    for path in [entry.path for entry in menu.ENTRIES] + [f"/calls/{call_id}" for call_id in rows.calls]:
        answer = tab.goto(page_url + path)
        assert answer is not None
        assert answer.status == 200, path
        found += faults(tab)
    tab.goto(f"{page_url}/")
    tab.locator("button.stop").first.click()
    expect(tab.locator("#agreed")).to_be_visible()
    found += faults(tab)
    tab.goto(f"{page_url}/calls/987654321")
    found += faults(tab)
    tab.context.clear_cookies()
    tab.goto(f"{page_url}/")
    found += faults(tab)
    watch.faults[:] = [fault for fault in watch.faults if "404" not in fault]
    assert found == []


def test_a_keyboard_is_enough_to_pause_a_campaign(world: World, rows: Rows, page_url: str, sign_in: SignIn) -> None:
    tab = sign_in()
    tab.goto(f"{page_url}/")
    tab.keyboard.press("Tab")
    expect(tab.locator(".skip").first).to_be_focused()
    tab.keyboard.press("Enter")
    expect(tab.locator("#main")).to_be_focused()

    wanted = f"pause-campaign-{rows.campaign}"
    for _ in range(60):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.id") == wanted:
            break
    assert tab.evaluate("document.activeElement.id") == wanted
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    tab.keyboard.press("Enter")

    expect(tab.locator(".notice")).to_have_text("It is paused.")
    assert world.value("select state from dial_control where scope = 'campaign'") == "paused"


def test_the_order_of_the_tab_key_is_that_of_reading(rows: Rows, page_url: str, sign_in: SignIn) -> None:
    del rows
    tab = sign_in()
    tab.goto(f"{page_url}/")
    positive = tab.locator("[tabindex]:not([tabindex='0']):not([tabindex='-1'])")
    assert positive.count() == 0


def test_what_changes_keeps_the_focus_where_it_was(world: World, rows: Rows, page_url: str, sign_in: SignIn) -> None:
    tab = sign_in()
    tab.goto(f"{page_url}/")
    expect(tab.locator("#age")).to_have_text(re.compile("old"))
    button = tab.locator(f"#pause-campaign-{rows.campaign}")
    button.focus()
    control.pause(scope_of("business", str(world.value("select min(id) from business"))), reason="lunch", actor="Dana")
    expect(tab.locator(".needs")).to_contain_text("lunch")
    expect(button).to_be_focused()
