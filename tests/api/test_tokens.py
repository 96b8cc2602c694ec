"""Tokens: shown once, kept as a hash, checked, bounded and revoked."""

import hashlib
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from outbound.api import app, context, route
from outbound.rules import api_token
from outbound.rules.api_token import BadToken
from tests.api.conftest import Client
from tests.conftest import World, until

pytestmark = pytest.mark.rows_only


def test_a_token_is_kept_as_its_hash_alone(world: World) -> None:
    made = api_token.add("app", scopes=["calls:write"], actor="dana")

    (row,) = world.rows("select * from api_token")
    assert re.fullmatch(r"outb_[a-z2-7]{8}_[0-9A-Za-z]{32}_[0-9A-Za-z]{6}", made.token)
    assert bytes(row.secret_sha256) == hashlib.sha256(made.token.encode()).digest()
    assert made.token.split("_")[2] not in str(row)
    assert world.rows("select who, action, key from audit") == [("dana", "token.add", made.public_id)]


def test_a_token_is_found_by_its_whole_text_alone(world: World) -> None:
    made = api_token.add("app", scopes=["calls:write"], actor="dana")
    start, public_id, secret, check = made.token.split("_")
    others = [
        f"{start}_{public_id}_{secret[::-1]}_{check}",
        f"{start}_{public_id}_{secret}_{check[::-1]}x",
        f"{start}_{public_id}_{secret}_",
        made.token.upper(),
        f" {made.token}",
        f"{made.token}\n",
        "",
        "outb_",
        made.token[:-1] + ("0" if made.token[-1] != "0" else "1"),
    ]

    found = api_token.find(made.token)
    assert found is not None
    assert found.id == made.id
    assert [api_token.find(text) for text in others] == [None] * len(others)


@pytest.mark.parametrize("change", ["revoked_at = now()", "expires_at = now()"])
def test_a_token_that_was_revoked_or_has_expired_is_none(world: World, change: str) -> None:
    made = api_token.add("app", scopes=["calls:write"], actor="dana")
    world.do(f"update api_token set {change}")  # noqa: S608 (one of the two above)

    assert api_token.find(made.token) is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": " "}, "needs a name"),
        ({"name": "x" * 101}, "needs a name"),
        ({"name": "a\nb"}, "needs a name"),
        ({"scopes": []}, "say what it may do"),
        ({"scopes": ["everything"]}, "say what it may do"),
        ({"scopes": ["operator"], "business_id": 1}, "concerns all businesses"),
        ({"life_days": 0}, "lives 1 to 3650 days"),
        ({"business_id": 812}, "there is no business 812"),
    ],
)
def test_a_token_that_cannot_be_is_refused_in_a_sentence(world: World, given: dict[str, object], says: str) -> None:
    with pytest.raises(BadToken, match=says):
        api_token.add(**{"name": "app", "scopes": ["calls:read"], "actor": "dana"} | given)  # type: ignore[arg-type]

    assert world.value("select count(*) from api_token") == 0


def test_two_tokens_live_side_by_side_until_one_is_revoked(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "TOKEN_CACHE_S", 0)
    business = world.business()
    old, new = client("calls:read", business_id=business), client("calls:read", business_id=business)
    assert (old.get("/calls").status_code, new.get("/calls").status_code) == (200, 200)

    row = api_token.revoke(old.headers["authorization"].split("_")[1], actor="dana")

    assert row.is_new
    assert not api_token.revoke(row.public_id, actor="dana").is_new
    assert (old.get("/calls").status_code, new.get("/calls").status_code) == (401, 200)


def test_a_process_knows_a_token_for_five_seconds_at_most() -> None:
    assert context.TOKEN_CACHE_S <= 5


def test_a_token_that_expires_soon_is_known_until_then(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "TOKEN_CACHE_S", 7200)
    http = client("calls:read")
    world.do("update api_token set expires_at = now() + interval '1 h'")

    assert http.get("/token").status_code == 200

    ((until_then, _),) = route.tokens._known.values()
    assert until_then - time.monotonic() <= 3600


def test_requests_of_one_moment_look_their_token_up_once(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    shown: list[bytes] = []
    find, found = api_token.find, context.Tokens._found

    async def counted(self: context.Tokens, digest: bytes, text: str) -> Any:
        shown.append(digest)
        return await found(self, digest, text)

    def noted(text: str) -> Any:
        looks.append(text)
        until(lambda: len(shown) == 12)
        return find(text)

    monkeypatch.setattr(context.Tokens, "_found", counted)
    monkeypatch.setattr(api_token, "find", noted)
    http = client()

    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: http.get("/token").status_code, range(12)))

    assert answers == [200] * 12
    assert len(looks) == 1


def test_a_token_makes_none_that_may_do_more(world: World, client: Client) -> None:
    business, other = world.business("Mine"), world.business("Other")
    http = client("calls:read", "tokens", business_id=business)

    def make(**given: object) -> httpx.Response:
        return http.post("/tokens", json={"name": "x", "scopes": ["calls:read"]} | given)

    made = make()
    assert (made.status_code, made.json()["business_id"]) == (201, business)
    assert http.get("/tokens").json()["tokens"][0]["public_id"] == made.json()["public_id"]
    assert make(scopes=["control"]).status_code == 403
    assert make(scopes=["operator"]).status_code == 403
    assert make(business_id=other).status_code == 404
    assert make(scopes=["calls:read", "operator", "nothing"]).status_code == 403
    unknown = make(scopes=["calls:raed"])
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "/scopes")
    assert "one or more of calls:read, calls:write" in unknown.json()["detail"]
    assert (
        http.post("/tokens", json={"name": "x", "scopes": ["calls:read"]}, headers={"idempotency-key": "k"}).json()[
            "code"
        ]
        == "invalid"
    )
    revoked = http.delete(f"/tokens/{made.json()['public_id']}")
    assert revoked.json()["changed"] is True
    world.do("update api_token set expires_at = now() + interval '1 day'")
    route_forget()
    assert make().status_code == 403


def test_the_document_names_an_idempotency_key_where_one_is_taken() -> None:
    without = {
        one["operationId"]
        for path in app.document()["paths"].values()
        for method, one in path.items()
        if method != "get" and "Idempotency-Key" not in {given["name"] for given in one.get("parameters", [])}
    }

    assert without == {"make_token"}


def route_forget() -> None:
    from outbound.api import route

    route.tokens.forget()


def test_the_last_use_is_noted_to_the_minute(world: World, client: Client) -> None:
    http = client("calls:read")
    http.get("/calls")
    first = world.value("select last_used_at from api_token")
    route_forget()
    http.get("/calls")

    assert first is not None
    assert world.value("select last_used_at from api_token") == first
    world.do("update api_token set last_used_at = now() - interval '61 s'")
    route_forget()
    http.get("/calls")
    assert world.value("select last_used_at >= now() - interval '30 s' from api_token")


def test_the_audit_says_which_token_changed_a_row(world: World, client: Client) -> None:
    http = client()
    added = http.post("/businesses", json={"name": "Acme", "time_zone": "UTC", "twiml": "<Response/>"})
    public_id = http.headers["authorization"].split("_")[1]

    assert added.status_code == 201, added.text
    who = world.value("select who from audit_change where scope = 'business' order by id desc limit 1")
    assert who == f"token test ({public_id})"


@pytest.mark.parametrize("key", [None, "once"])
@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/suppressions/import?business_id=1", "phone\n+12125550101\n"),
        ("/consents/import?business_id=1&given_at=2026-01-01T10:00", "phone\n+12125550101\n"),
        ("/registry/import?checked_at=2026-01-01", "phone,listed\n+12125550101,yes\n"),
        ("/control/businesses/1/cancel", None),
    ],
)
def test_the_audit_says_which_token_did_what_is_committed_in_parts(
    world: World, client: Client, path: str, content: str | None, key: str | None
) -> None:
    business_id, http = world.business(), client()
    world.queued(business_id)
    before = world.value("select max(id) from audit_change") or 0
    headers = {"idempotency-key": key} if key else {}

    done = http.post(
        path.replace("business_id=1", f"business_id={business_id}").replace(
            "businesses/1", f"businesses/{business_id}"
        ),
        content=content,
        headers=headers | ({"content-type": "text/csv"} if content else {}),
    )

    assert done.status_code == 200, done.text
    public_id = http.headers["authorization"].split("_")[1]
    written = world.rows("select scope, who from audit_change where id > %s", before)
    assert written
    assert {row.who for row in written} == {f"token test ({public_id})"}, written


def test_a_token_revokes_none_that_may_do_more(world: World, client: Client) -> None:
    small, large = client("tokens"), client()
    public_id = large.headers["authorization"].split("_")[1]

    assert small.delete(f"/tokens/{public_id}").status_code == 404
    assert public_id not in small.get("/tokens").text
    assert world.value("select revoked_at is null from api_token where public_id = %s", public_id)
    assert large.delete(f"/tokens/{small.headers['authorization'].split('_')[1]}").json()["changed"] is True


def test_leads_need_their_scope_also_where_they_stand_beside_a_callee(world: World, client: Client) -> None:
    business = world.business()
    world.do("insert into leads (business_id, phone) values (%s, '+12125550101')", business)

    without = client("calls:read", business_id=business)
    having = client("calls:read", "leads:read", business_id=business)

    assert without.get("/callees/+12125550101").json()["leads"] == []
    assert len(having.get("/callees/+12125550101").json()["leads"]) == 1
