"""The pictures of the README are of the page as it is: each screen that they show is there, and they are small."""

import os
import shutil
import struct
from pathlib import Path

from tests import ROOT
from tests.conftest import World
from tests.page.conftest import SignIn
from tests.page.rows import Rows

PICTURES = ROOT / "docs" / "pictures"
WIDTH, HEIGHT = 1280, 900
BYTES_MAX = 150_000

# An hour in which calls ended, more of them towards its middle; callees are in Israel.
AN_HOUR = """
insert into call_log (business_id, campaign_id, from_number, to_number, status, call_sid, dialed_at, answered_at,
                      ended_at, duration_s, error_code)
select %s, %s, '+97231234567', '+97235551' || lpad(nth::text, 3, '0'), status,
       'CA' || lpad(nth::text, 32, '0'), at - interval '50 s',
       case when status = 'completed' then at - interval '40 s' end, at,
       case when status = 'completed' then 40 end, case when status = 'failed' then '13224' end
  from generate_series(1, 400) as nth
 cross join lateral (
       select now() - interval '1 min' * (30 + 28 * sin(nth * 12.9898) * abs(sin(nth * 4.1))) as at,
              case when mod(nth, 40) = 0 then 'failed' when mod(nth, 5) = 0 then 'no-answer'
                   when mod(nth, 9) = 0 then 'busy' else 'completed' end as status
 ) as ended
"""


def test_the_pictures_of_the_readme_are_made_by_the_page(
    world: World, rows: Rows, page_url: str, sign_in: SignIn, tmp_path: Path
) -> None:
    """`make pictures` writes them again; without it, what is missing is written and nothing else is changed."""
    world.do(AN_HOUR, rows.business, rows.campaign)
    shown = {
        "now": ("en", "light", "/"),
        "calls": ("en", "light", "/calls"),
        "call": ("en", "light", f"/calls/{rows.calls[-1]}"),
        "now.he": ("he", "dark", "/"),
    }
    for name, (language, theme, path) in shown.items():
        tab = sign_in(language, theme=theme)
        tab.goto(page_url + path)
        made, kept = tmp_path / f"{name}.png", PICTURES / f"{name}.png"
        tab.screenshot(path=made, clip={"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT})
        if os.environ.get("PICTURES") == "write" or not kept.exists():
            kept.parent.mkdir(exist_ok=True)
            shutil.copyfile(made, kept)
        for one in (kept, made):
            content = one.read_bytes()
            assert struct.unpack(">II", content[16:24]) == (WIDTH, HEIGHT)
            assert len(content) <= BYTES_MAX, one
