"""No token sees or changes what is another tenant's: every operation of the document, for every kind of caller."""

import re
from typing import Any

import httpx
import pytest

from outbound.api import app
from outbound.rules import api_token, control, destination, limits, new_business, retry_policy
from outbound.rules.scope import Scope
from outbound.webhooks import endpoint
from tests.api.conftest import Client
from tests.conftest import World
from tests.digest import digest

pytestmark = pytest.mark.rows_only

MARK = "qqtenant"  # in every text of the other tenant's
PHONE = "+12125550777"
TENANT_SCOPES = tuple(scope for scope in api_token.SCOPES if scope != api_token.OPERATOR)

Operation = tuple[str, str, dict[str, Any]]


def operations() -> list[Operation]:
    found = app.document()["paths"]
    return [(method, path, about) for path, methods in found.items() for method, about in methods.items()]


def named(operation: Operation) -> str:
    return str(operation[2]["operationId"])


# What each body holds, with the ids of the other tenant; operations without one send none.
def body_of(name: str, ids: dict[str, int]) -> Any:
    own = {"business_id": ids["business"]}
    phone = {"phone": "+12125550888"}
    return {
        "create_call": {"to": "+12125550888"} | own,
        "create_calls": {"calls": [{"to": "+12125550888"} | own]},
        "reschedule_call": {"at": "2032-01-05T10:00Z"},
        "cancel_calls": {"campaign_id": ids["campaign"]},
        "limit": {"live_max": "1"},
        "make_token": {"name": "x", "scopes": ["calls:read"]} | own,
        "add_business": {"name": "x", "time_zone": "UTC", "twiml": "<Response/>"},
        "change_business": {"name": "x"},
        "use_retry_policy": {"name": f"{MARK} policy"},
        "add_campaign": {"name": "x"} | own,
        "change_campaign": {"name": "y"},
        "add_retry_policy": {"name": "x", "steps": "busy: 5m", "per_day": 1, "per_week": 1} | own,
        "add_window": {"name": "mine", "hours": "mon-fri 09:00-17:00"},
        "set_window_day": {"hours": "off"},
        "assign_business_window": {"window_id": None},
        "assign_campaign_window": {"window_id": None},
        "set_destination": {"place": "GB", "allowed": True} | own,
        "add_suppression": phone | own,
        "remove_suppression": {"phone": PHONE} | own,
        "give_consent": phone | own,
        "revoke_consent": phone | own,
        "add_webhook": {"url": "https://example.com/"} | own,
        "change_webhook": {"state": "off"},
        "replay_webhook": {"given_up_only": True},
    }.get(name)


def parameters_of(operation: Operation, ids: dict[str, int], kind: str = "businesses") -> tuple[str, dict[str, Any]]:
    """The path and the query, with the ids of the other tenant."""
    path = operation[1]
    values: dict[str, object] = {
        "{call_id}": ids["call"],
        "{campaign_id}": ids["campaign"],
        "{business_id}": ids["business"],
        "{window_id}": ids["window"],
        "{kind}": kind,
        "{key}": {"businesses": ids["business"], "campaigns": ids["campaign"], "calls": ids["call"]}.get(kind, PHONE),
        "{number}": PHONE,
        "{token}": ids["token"],
        "{endpoint_id}": ids["endpoint"],
        "{import_id}": ids["import"],
        "{place}": "GB",
        "{day}": "2027-01-05",
    }
    for name, value in values.items():
        path = path.replace(name, str(value))
    query: dict[str, Any] = {}
    for one in operation[2].get("parameters", ()):
        if one["in"] == "query" and one["name"] in ("business_id", "campaign_id"):
            query[one["name"]] = ids[one["name"].removesuffix("_id")]
    required = {"batch": "list", "checked_at": "2026-01-01T00:00Z", "number": PHONE}
    for one in operation[2].get("parameters", ()):
        if one["in"] == "query" and one.get("required"):
            query[one["name"]] = required[one["name"]]
    if named(operation) == "import_consents":
        query["given_at"] = "2026-01-01T00:00Z"
    if "campaign_id" in query:
        query.pop("business_id", None)
    return path, query


def send(
    http: httpx.Client, operation: Operation, ids: dict[str, int], kind: str = "businesses", **headers: str
) -> httpx.Response:
    path, query = parameters_of(operation, ids, kind)
    if operation[2]["x-file"]:
        content = "to,listed\n+12125550888,yes\n" if named(operation) == "import_registry" else "to\n+12125550888\n"
        return http.post(path, params=query, content=content, headers=headers | {"content-type": "text/csv"})
    if named(operation) == "stream_events":
        return first_of_stream(http, path, **headers)
    body = body_of(named(operation), ids)
    return http.request(operation[0], path, params=query, json=body, headers=headers)


def first_of_stream(http: httpx.Client, path: str, **headers: str) -> httpx.Response:
    """The answer of a stream with the first thing that it says, as it has no end."""
    with http.stream("GET", path, params={"after": "0-0"}, headers=headers) as answer:
        content = answer.read() if answer.is_error else next(answer.iter_bytes())
    return httpx.Response(answer.status_code, headers=answer.headers, content=content)


@pytest.fixture
def other(world: World) -> dict[str, int]:
    """Another tenant with a row of everything."""
    business = new_business.add(
        f"{MARK} business",
        actor="test",
        time_zone="UTC",
        default_region="US",
        twiml="<Response/>",
        phones=[PHONE.replace("777", "700")],
    ).id
    campaign = world.value(
        "insert into campaign (business_id, name) values (%s, %s) returning id", business, f"{MARK} campaign"
    )
    call = world.value(
        "insert into call_log (business_id, campaign_id, from_number, to_number, idempotency_key, contact)"
        " values (%s, %s, '+12125550700', %s, %s, %s) returning id",
        business,
        campaign,
        PHONE,
        f"{MARK} key",
        f'{{"name": "{MARK}"}}',
    )
    world.do("insert into leads (business_id, phone) values (%s, %s)", business, PHONE)
    world.do("insert into suppression (business_id, phone, reason) values (%s, '+12125550778', %s)", business, MARK)
    world.do("insert into suppression (phone, reason) values ('+12125550779', %s)", f"{MARK} for all")
    retry_policy.add(business, f"{MARK} policy", "busy: 5m", per_day=1, per_week=1, actor=MARK)
    window = world.value("select window_id from business where id = %s", business)
    control.pause(Scope("business", str(business)), reason=f"{MARK} reason", actor=MARK)
    token = api_token.add(f"{MARK} token", scopes=["calls:read"], business_id=business, actor=MARK)
    told = endpoint.add(f"https://example.com/{MARK}", business_id=business, actor=MARK)
    world.do("select write_event(%s, 'call.ended', %s, %s, '{}')", business, f"evt_{MARK}", call)
    imported = world.value(
        "insert into call_import (business_id, batch, created_by, reason) values (%s, %s, %s, %s) returning id",
        business,
        f"{MARK} batch",
        MARK,
        MARK,
    )
    found = {"business": business, "campaign": campaign, "call": call, "window": window, "token": token.id}
    return found | {"import": imported, "endpoint": told.id}


def test_who_is_not_let_in_learns_nothing_and_changes_nothing(
    world: World, client: Client, api_url: str, other: dict[str, int]
) -> None:
    own = world.business("Mine")
    revoked, expired = client(business_id=own), client(business_id=own)
    for http, column in ((revoked, "revoked_at"), (expired, "expires_at")):
        public_id = http.headers["authorization"].split("_")[1]
        world.do(f"update api_token set {column} = now() where public_id = '{public_id}'")  # noqa: S608
    nobody = httpx.Client(base_url=api_url)
    for http in (revoked, expired):
        http.base_url = httpx.URL(api_url)
    before = digest(world)

    for operation in operations():
        for http, code in ((nobody, "no_token"), (revoked, "bad_token"), (expired, "bad_token")):
            answer = send(http, operation, other)
            assert (answer.status_code, answer.json()["code"]) == (401, code), named(operation)
            assert "www-authenticate" in answer.headers
            assert MARK not in f"{answer.text}{answer.headers}"
    assert digest(world) == before


def test_a_token_without_the_scope_is_told_so_and_changes_nothing(
    world: World, client: Client, api_url: str, other: dict[str, int]
) -> None:
    own = world.business("Mine")
    without = {
        scope: client(*(one for one in TENANT_SCOPES if one != scope), business_id=own) for scope in TENANT_SCOPES
    }
    without["operator"] = client(*TENANT_SCOPES)
    for http in without.values():
        assert http.get("/token").status_code == 200
        http.base_url = httpx.URL(api_url)
    before = digest(world)

    for operation in operations():
        scope = operation[2]["x-scope"]
        if scope:
            answer = send(without[scope], operation, other)
            assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing"), named(operation)
            assert MARK not in f"{answer.text}{answer.headers}"
    assert digest(world) == before


@pytest.mark.parametrize("kind", ["businesses", "campaigns", "calls", "numbers"])
def test_a_tenant_gets_nothing_of_another_by_its_ids(
    world: World, client: Client, api_url: str, other: dict[str, int], kind: str
) -> None:
    own = world.business("Mine")
    http = client(*TENANT_SCOPES, business_id=own)
    http.get("/token")
    http.base_url = httpx.URL(api_url)
    first_of_stream(http, "/v1/events")  # from now on its name stands among those who read
    before = digest(world)

    for operation in operations():
        if kind != "businesses" and "{kind}" not in operation[1]:
            continue
        answer = send(http, operation, other, kind)
        query = parameters_of(operation, other, kind)[1]
        names_another = operation[2]["x-of-all"] or query or body_of(named(operation), other) or "{" in operation[1]
        assert MARK not in f"{answer.text}{answer.headers}", named(operation)
        if operation[2]["x-of-all"]:
            assert answer.status_code == 403, (named(operation), answer.text)
        elif named(operation) in ("show_window", "create_calls"):  # windows are everybody's; refused one by one
            assert answer.status_code == 200
        elif names_another:
            assert answer.status_code == 404, (named(operation), answer.text)
            assert set(answer.json()) == {"type", "title", "status", "code", "detail", "errors"}
        else:
            assert answer.status_code == 200, (named(operation), answer.text)
    after = digest(world)
    assert after == before


def test_what_is_another_tenants_is_answered_like_what_is_not_there(
    client: Client, world: World, api_url: str, other: dict[str, int]
) -> None:
    http = client(*TENANT_SCOPES, business_id=world.business("Mine"))
    http.base_url = httpx.URL(api_url)
    nothing = dict.fromkeys(other, 2**40)

    for operation in operations():
        if not operation[2]["x-of-all"] and "window" not in named(operation):
            theirs, none = send(http, operation, other), send(http, operation, nothing)
            assert (theirs.status_code, theirs.text) == (none.status_code, none.text), named(operation)


@pytest.mark.parametrize("written", ["0", "01", "-1", "x", "1.0", str(2**53), str(2**63), "9" * 40])
def test_what_can_be_no_id_is_not_found_in_any_path(
    world: World, client: Client, api_url: str, other: dict[str, int], written: str
) -> None:
    world.business("the first")
    http = client()
    http.base_url = httpx.URL(api_url)
    before = digest(world)

    for method, path, about in operations():
        odd = re.sub(r"\{(\w+_id|key|token)\}", written, path)
        if odd != path:
            answer = send(http, (method, odd, about), other)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, path, answer.text)
    assert digest(world) == before


def test_a_search_without_ids_finds_only_what_is_the_tenants(
    client: Client,
    world: World,
    other: dict[str, int],
) -> None:
    own = world.business("Mine")
    call = world.queued(own, "+12125550101")
    http = client(*TENANT_SCOPES, business_id=own)

    assert [one["id"] for one in http.get("/calls").json()["calls"]] == [call]
    assert http.get("/calls", params={"number": PHONE}).json()["calls"] == []
    assert http.get("/leads").json()["leads"] == []
    callee = http.get(f"/callees/{PHONE}").json()
    assert (callee["calls"], callee["leads"], callee["known"]) == ([], [], [])
    assert http.get("/suppressions").json()["entries"] == []
    (known,) = http.get("/suppressions/check", params={"number": "+12125550779"}).json()["known"]
    assert (known["fact"], known["words"]) == ("do_not_call", None)
    assert http.get("/exports/calls").text.count("\n") == 1
    canceled = http.post("/calls/cancel", json={"number": PHONE}).json()
    assert (canceled["waiting"], canceled["in_the_air"]) == (0, 0)


def test_a_file_whose_column_names_another_business_queues_nothing_for_it(
    client: Client, world: World, other: dict[str, int]
) -> None:
    own = world.business("Mine")
    http = client(*TENANT_SCOPES, business_id=own)
    content = f"to,business\n+12125550101,{own}\n+12125550102,{other['business']}\n"

    answer = http.post(
        "/imports", params={"batch": "b", "anyway": True}, content=content, headers={"content-type": "text/csv"}
    )

    assert answer.status_code == 200, answer.text
    assert (answer.json()["created"], answer.json()["refused"]) == (1, 1)
    assert world.value("select count(*) from call_log where to_number = '+12125550102'") == 0


@pytest.mark.parametrize("how", ["stop", "cancel"])
def test_who_ended_everything_and_why_is_not_told_to_a_tenant(world: World, client: Client, how: str) -> None:
    own = world.business("Mine")
    call = world.queued(own) if how == "cancel" else world.initiated(own, call_sid="CA" + "1" * 32)
    getattr(control, how)(Scope("account", ""), reason=f"{MARK} fraud", actor=MARK)
    if how == "stop":
        world.do("update call_log set status = 'canceled', overdue_at = null, ended_at = now()")
    tenant, operator = client(*TENANT_SCOPES, business_id=own), client()

    phone = world.call(call).to_number
    for path in (f"/calls/{call}", "/calls", f"/calls/{call}/why", f"/callees/{phone}"):
        assert MARK not in tenant.get(path).text, path
    assert MARK in operator.get(f"/calls/{call}").text
    assert tenant.get(f"/calls/{call}").json()["hung_up"] == "an operator ended it"


def test_what_the_business_s_own_token_ended_is_told_with_its_reason(world: World, client: Client) -> None:
    own = world.business("Mine")
    call = world.queued(own)
    tenant = client(*TENANT_SCOPES, business_id=own)
    tenant.post(f"/control/calls/{call}/cancel", json={"reason": "wrong text"})

    shown = tenant.get(f"/calls/{call}").json()
    assert shown["call"]["stop_reason"] == "wrong text"
    assert "wrong text" in shown["hung_up"]


def test_the_operator_s_reasons_are_not_in_previews_nor_of_destinations(world: World, client: Client) -> None:
    own = world.business("Mine")
    campaign = world.value("insert into campaign (business_id, name) values (%s, 'c') returning id", own)
    control.pause(Scope("account", ""), reason=f"{MARK} incident", actor=MARK)
    destination.deny("US", reason=f"{MARK} (fraud): see", actor=MARK)
    tenant, operator = client(*TENANT_SCOPES, business_id=own), client()

    asked = {"number": "+12125550101", "business_id": str(own)}
    assert MARK in operator.get(f"/campaigns/{campaign}/preview").text
    assert MARK in operator.get("/destinations/check", params=asked).text
    for path in (f"/campaigns/{campaign}/preview", "/destinations", f"/callees/{asked['number']}"):
        assert MARK not in tenant.get(path).text, path
    assert MARK not in tenant.get("/destinations/check", params=asked).text
    assert MARK not in tenant.post("/calls", json={"to": asked["number"]}).text
    assert MARK not in tenant.post("/calls/bulk", json={"calls": [{"to": asked["number"]}]}).text
    file, kind = "to\n+12125550101\n", {"content-type": "text/csv"}
    assert MARK not in tenant.post("/imports", params={"batch": "b", "anyway": True}, content=file, headers=kind).text


def test_what_the_operator_holds_is_told_to_a_tenant_without_names_and_reasons(world: World, client: Client) -> None:
    own = world.business("Mine")
    call = world.queued(own)
    control.pause(Scope("account", ""), reason=f"{MARK} incident", actor=MARK)
    tenant, operator = client(*TENANT_SCOPES, business_id=own), client()

    for path in ("/status", f"/calls/{call}/why", f"/calls/{call}"):
        assert MARK in operator.get(path).text, path
        assert MARK not in tenant.get(path).text, path
    assert tenant.get(f"/calls/{call}/why").json()["code"] == "paused"
    control.pause(Scope("business", str(own)), reason="our own reason", actor="dana")
    control.resume(Scope("account", ""), actor=MARK)
    assert "our own reason" in tenant.get("/status").text


@pytest.mark.parametrize("scope", ["business", "number", "account"])
@pytest.mark.parametrize("is_due_long", [True, False])
def test_the_status_of_a_tenant_says_what_the_business_itself_holds(
    world: World, client: Client, scope: str, is_due_long: bool
) -> None:
    own = world.business("Mine", "+15005550006")
    world.worker()
    world.scheduler()
    call = world.queued(own)
    world.do(
        "update call_log set due_at = now() - interval '1 minute'"
        if is_due_long
        else "update call_log set due_at = now()"
    )
    key = {"business": str(own), "number": "+15005550006", "account": ""}[scope]
    if scope == "number":
        control.pause(Scope("number", key), reason=MARK, actor=MARK)
    else:
        limits.set_limits(Scope(scope, key), calls_per_day="0", actor=MARK)
    tenant = client(*TENANT_SCOPES, business_id=own)

    (fact, *_) = tenant.get("/status").json()["now"]
    why = tenant.get(f"/calls/{call}/why").json()["sentence"]

    if not is_due_long and scope == "business":
        assert fact["sentence"] == "Calls are due and are dialed in their turn; claimed or in the air: 0."
    elif scope == "business":
        assert fact["sentence"] == f"The next call, {call}, waits: {why}"
    else:
        assert "operator" in fact["sentence"]
    assert MARK not in str(fact)


OWN_NUMBER, OTHERS_NUMBER, NOBODYS_NUMBER = "+12125550100", "+12125550200", "+12125550300"


@pytest.fixture
def tenant(world: World, client: Client) -> Any:
    world.business("Other", OTHERS_NUMBER)
    return client(*TENANT_SCOPES, business_id=world.business("Mine", OWN_NUMBER))


def test_another_tenant_s_number_is_answered_like_nobody_s_as_the_from_number_of_a_call(
    world: World, tenant: Any
) -> None:
    calls = [{"to": "+12125550101", "from": number} for number in (OTHERS_NUMBER, NOBODYS_NUMBER)]

    alone = [tenant.post("/calls", json=call) for call in calls]
    bulk = [tenant.post("/calls/bulk", json={"calls": [call]}).json()["refused"] for call in calls]
    files = [
        tenant.post(
            f"/imports?batch={place}",
            content=f"to,from\n{call['to']},{call['from']}\n",
            headers={"content-type": "text/csv"},
        ).json()["refused_lines"]
        for place, call in enumerate(calls)
    ]

    assert [answer.status_code for answer in alone] == [422, 422]
    assert alone[0].json() == alone[1].json()
    assert [fault["pointer"] for fault in alone[0].json()["errors"]] == ["/from"]
    assert bulk[0] == bulk[1] != []
    assert files[0] == files[1] != []
    assert world.statuses() == []
    assert tenant.post("/calls", json=calls[0] | {"from": OWN_NUMBER}).status_code == 201


def test_a_tenant_s_campaign_calls_from_its_own_numbers_and_those_that_an_operator_gave_it(
    world: World, tenant: Any, client: Client
) -> None:
    made = tenant.post("/campaigns", json={"name": "c", "numbers": [OWN_NUMBER]}).json()["id"]
    new = [tenant.post("/campaigns", json={"name": "d", "numbers": [one]}) for one in (OTHERS_NUMBER, NOBODYS_NUMBER)]
    set_ = [tenant.patch(f"/campaigns/{made}", json={"numbers": [one]}) for one in (OTHERS_NUMBER, NOBODYS_NUMBER)]

    for first, second in (new, set_):
        assert (first.status_code, first.json()) == (second.status_code, second.json())
        assert (first.status_code, first.json()["errors"][0]["pointer"]) == (422, "/numbers")
    assert client().patch(f"/campaigns/{made}", json={"numbers": [NOBODYS_NUMBER]}).status_code == 200
    assert tenant.patch(f"/campaigns/{made}", json={"numbers": [NOBODYS_NUMBER]}).status_code == 200
    call = {"to": "+12125550101", "campaign_id": made, "from": NOBODYS_NUMBER}
    assert tenant.post("/calls", json=call).status_code == 201
    assert world.rows("select from_number from call_log") == [(NOBODYS_NUMBER,)]
