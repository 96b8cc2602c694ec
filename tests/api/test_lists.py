"""Lists over HTTP are given page by page: each row once, and none of another tenant."""

from typing import Any

import httpx
import pytest

from tests.api.conftest import Client
from tests.conftest import World

pytestmark = pytest.mark.rows_only

# By path: what the answer calls its rows, and what adds one of a business, with a number that no other has.
LISTS = {
    "/tokens": (
        "tokens",
        """
        insert into api_token (public_id, secret_sha256, name, business_id, scopes, created_by)
        select translate(lpad(n, 8, '0'), '0189', 'abcd'), decode(repeat('00', 32), 'hex'), 'test', owner,
               '{calls:read}', 'test'
          from given
        """,
    ),
    "/webhooks": (
        "endpoints",
        "insert into webhook_endpoint (business_id, url, created_by) select owner, 'https://x.test/', 'x' from given",
    ),
    "/retry-policies": (
        "retry_policies",
        """
        insert into retry_ladder (business_id, name, attempts_per_day_max, attempts_per_week_max)
        select owner, n, 1, 2 from given
        """,
    ),
    "/windows": (
        "windows",
        """
        , made as (insert into calling_window (name, hours) select n, '{[0,600)}' from given returning id)
        insert into campaign (business_id, name, window_id) select owner, n, id from given, made
        """,
    ),
    "/destinations": (
        "destinations",
        "insert into destination (business_id, place, allowed) select owner, '+4420' || n, true from given",
    ),
    "/businesses": ("businesses", "insert into business (name, twiml) select n, '<Response/>' from given"),
}


class Rows:
    """Adds rows to one list."""

    def __init__(self, world: World, path: str) -> None:
        self._world, self._n = world, 0
        self.name, self._insert = LISTS[path]

    def add(self, *businesses: int) -> None:
        """One row more of each of these."""
        for business in businesses:
            self._n += 1
            self._world.do(
                f"with given as (select %s::bigint as owner, %s::text as n) {self._insert}", business, self._n
            )


def page(http: httpx.Client, path: str, name: str, **asked: Any) -> tuple[list[int], int | None]:
    answer = http.get(path, params={key: value for key, value in asked.items() if value is not None}).json()
    return [row["id"] for row in answer[name]], answer["next"]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("of_all", [True, False])
def test_pages_have_each_row_once_and_none_of_others_while_rows_are_added(
    world: World, client: Client, path: str, of_all: bool
) -> None:
    mine, other = world.business("Mine"), world.business("Other")
    rows, http = Rows(world, path), client(business_id=None if of_all else mine)
    for _ in range(3):
        rows.add(mine, other)
    whole, last = page(http, path, rows.name)
    assert (whole, last) == (sorted(whole, reverse=True), None)
    if path == "/businesses":
        assert len(whole) == (8 if of_all else 1)
    else:
        assert len(whole) == (6 if of_all else 3) + (path == "/tokens")  # that of the client

    found: list[int] = []
    before = None
    while True:
        ids, before = page(http, path, rows.name, limit=2, before=before)
        assert len(ids) <= 2
        found += ids
        rows.add(mine, other)
        if before is None:
            break

    assert found == whole


@pytest.mark.parametrize("path", [path for path in LISTS if path != "/businesses"])
def test_an_id_of_another_tenant_leads_to_no_row_of_theirs(world: World, client: Client, path: str) -> None:
    mine, other = world.business("Mine"), world.business("Other")
    rows, http = Rows(world, path), client(business_id=mine)
    rows.add(mine, other, mine, other)
    own, _ = page(http, path, rows.name)
    all_ids, _ = page(client(), path, rows.name)
    theirs = sorted(set(all_ids) - set(own))

    assert len(theirs) >= 2
    for foreign in theirs:
        assert page(http, path, rows.name, before=foreign)[0] == [one for one in own if one < foreign]


@pytest.mark.parametrize("path", LISTS)
def test_a_page_has_1_to_1000_rows(client: Client, path: str) -> None:
    http = client()
    for wrong in ({"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"before": 0}, {"before": "x"}):
        assert http.get(path, params=wrong).status_code == 422
    assert http.get(path, params={"limit": 1000}).status_code == 200


def test_entries_for_everybody_are_on_the_pages_of_each_tenant(world: World, client: Client) -> None:
    mine, other = world.business("Mine"), world.business("Other")
    insert = "insert into destination (business_id, place, allowed, reason) values (%s, %s, true, 'secret')"
    for owner, place in ((None, "GB"), (other, "FR"), (mine, "DE"), (None, "US")):
        world.do(insert, owner, place)
    http = client(business_id=mine)

    first = http.get("/destinations", params={"limit": 2}).json()
    second = http.get("/destinations", params={"limit": 2, "before": first["next"]}).json()

    shown = [(one["place"], one["reason"]) for one in first["destinations"] + second["destinations"]]
    assert shown == [("US", ""), ("DE", "secret"), ("GB", "")]


def test_a_preset_is_a_window_of_each_tenant_and_a_window_of_nobody_is_not(world: World, client: Client) -> None:
    mine, _ = world.business("Mine"), world.business("Other")
    insert = "insert into calling_window (name, hours, preset) values (%s, '{[0,600)}', %s) returning id"
    preset, free, own, theirs = (
        world.value(insert, name, kind) for name, kind in (("us", "us"), ("free", None), ("own", None), ("x", None))
    )
    world.do("update business set window_id = case id when %s then %s else %s end", mine, own, theirs)
    http = client(business_id=mine)

    assert page(http, "/windows", "windows")[0] == [own, preset]
    assert page(client(), "/windows", "windows")[0] == [theirs, own, free, preset]
    assert [http.get(f"/windows/{one}").status_code for one in (preset, free, own, theirs)] == [200, 404, 200, 404]


def test_a_token_sees_on_its_pages_only_tokens_that_may_do_no_more(world: World, client: Client) -> None:
    few, many = client("calls:read", "tokens"), [client("calls:read", "leads:read") for _ in range(3)]
    fewer = client("calls:read")

    ids, last = page(few, "/tokens", "tokens", limit=2)
    assert len(many) == 3
    assert (len(ids), page(few, "/tokens", "tokens", limit=2, before=last)) == (2, ([], None))
    assert ids[0] == fewer.get("/token").json()["id"]


def test_a_business_is_shown_with_its_newest_hundred_campaigns_and_where_the_others_are(
    world: World, client: Client
) -> None:
    mine, other = world.business("Mine"), world.business("Other")
    insert = "insert into campaign (business_id, name) select %s, n::text from generate_series(%s::int, %s::int) as n"
    world.do(insert, mine, 1, 100)
    http = client(business_id=mine)
    whole = http.get(f"/businesses/{mine}").json()
    world.do(insert, other, 1, 5)
    world.do(insert, mine, 101, 103)

    shown = http.get(f"/businesses/{mine}").json()
    rest = http.get("/campaigns", params={"business_id": mine, "before": shown["campaigns_next"]}).json()

    assert [int(one["name"]) for one in whole["campaigns"]] == list(range(1, 101))
    assert [int(one["name"]) for one in shown["campaigns"]] == list(range(4, 104))
    assert [one["name"] for one in rest["campaigns"]] == ["3", "2", "1"]


def test_deliveries_of_an_endpoint_are_read_page_after_page(world: World, client: Client) -> None:
    http = client()
    endpoint = http.post("/webhooks", json={"url": "https://example.com/events"}).json()["id"]
    pings = [http.post(f"/webhooks/{endpoint}/test").json()["id"] for _ in range(5)]
    path, limit = f"/webhooks/{endpoint}/deliveries", {"limit": 2}

    pages = [http.get(path, params=limit).json()]
    while pages[-1]["next"] is not None:
        pages.append(http.get(path, params=limit | {"before": pages[-1]["next"]}).json())

    assert [one["public_id"] for page in pages for one in page["deliveries"]] == pings[::-1]
    assert [len(page["deliveries"]) for page in pages] == [2, 2, 1]
    assert http.get(path, params=limit | {"before_id": pages[0]["next"]}).json() == pages[1]
