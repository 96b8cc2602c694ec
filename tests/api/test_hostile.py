"""What a hostile client sends in the place of a call or a filter: it is refused, and nothing changes."""

from tests.api.conftest import Client
from tests.conftest import World
from tests.digest import digest

ODD = [
    b'{"to": "+972501234567", "business_id": true}',
    b'{"to": "+972501234567", "business_id": 1.0}',
    b'{"to": "+972501234567", "business_id": "1"}',
    b'{"to": "+972501234567", "business_id": 1e0}',
    b'{"to": "+972501234567", "business_id": -1}',
    b'{"to": "+972501234567", "business_id": 0}',
    b'{"to": "+972501234567", "due_at": "0000-01-01T00:00Z"}',
    b'{"to": "+972501234567", "due_at": "9999-12-31T23:59:59+14:00"}',
    b'{"to": "+972501234567", "due_at": "9999-12-31T23:59:59-14:00"}',
    b'{"to": "+972501234567", "due_at": "0001-01-01T00:00+14:00"}',
    b'{"to": "+972501234567", "due_at": "2027-06-30T23:59:60Z"}',
    b'{"to": "+972501234567", "due_at": 1798761600}',
    b'{"to": "+972501234567", "due_at": "2027-01-01T24:00Z"}',
    b'{"to": "+972501234567", "due_at": "2027-01-01T09:00+99:99"}',
    b'{"to": "+972501234567", "contact": {"a": {"b": 1}}}',
    b'{"to": "+972501234567", "contact": {"a": 1}}',
    b'{"to": "+972501234567", "contact": []}',
    b'{"to": "+972501234567", "contact": {"": "x"}}',
    b'{"to": "+972501234567", "key": 1}',
    b'{"to": "+972501234567", "time_zone": "+02:00"}',
    b'{"to": null}',
    b'{"to": ["+972501234567"]}',
    b"null",
    b'"x"',
    b"1",
    b"true",
    b'[{"to": "+972501234567"}]',
    b'{"to": "+972501234567"} {}',
    b'{"to": "+972501234567",}',
    b"{'to': 'x'}",
    b'{"to": "+972501234567", "t\\u006f": "+972501234568"}',
    b'{"to": "+972501234567", "contact": {"a": ["\\ud800"]}}',
    b'{"to": "+972501234567", "contact": {"a": [["\\u0000"]]}}',
    b'\xef\xbb\xbf\xef\xbb\xbf{"to": "+972501234567"}',
    '{"to": "+972501234567"}'.encode("utf-16"),
    b'{"to": "+972501234567", "business_id": 01}',
    b'{"to": "+972501234567", "business_id": 99999999999999999999999999999}',
    b'{"to": "+972501234567", "business_id": 1e400}',
    b'{"to": "+972501234567", "business_id": -0}',
    b'{"to": "' + "\u0665\u0660\u0661\u0662".encode() + b'"}',
    b'{"to": "+972501234567\\u0007"}',
    b'{"to": "+972501234567;ext=5"}',
]
ODD_QUERIES = [
    *("limit=", "limit=1&limit=2", "since=%ff", "before=", "before=x/1", "since=9999-12-31T23:59:59-14:00"),
    *("since=0001-01-01T00:00%2B14:00", "until=0001-01-01", "number=%00", "business_id=-0", "business_id=%2B1"),
]


def test_a_body_that_is_no_call_is_refused_and_changes_nothing(world: World, client: Client) -> None:
    world.simulated()
    http = client(business_id=world.business("Acme", "+97231234567"))
    http.get("/token")
    before = digest(world)

    for body in ODD:
        answer = http.post("/calls", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 404, 422), (body, answer.text)
        assert answer.json()["detail"], body

    assert digest(world) == before


def test_a_filter_that_cannot_be_read_finds_nothing(world: World, client: Client) -> None:
    http = client(business_id=world.business())

    for query in ODD_QUERIES:
        for path in ("/calls", "/leads"):
            assert http.get(f"{path}?{query}").status_code == 422, (path, query)
