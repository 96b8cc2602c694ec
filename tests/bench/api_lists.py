"""Lists of the HTTP API beside a large table: each filter that an index serves, at its newest and in its middle."""

import http.client
import json
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

from outbound.calls.call_search import Place
from outbound.rules import api_token
from tests.bench import history
from tests.bench.api import serve, serving
from tests.bench.cluster import Cluster
from tests.bench.options import Options
from tests.bench.report import Line, percentile
from tests.bench.world import World

_WARM = 5
_FILTERS: dict[str, dict[str, str]] = {
    "all of one business": {},
    "status": {"status": "failed"},
    "since and until": {"since": "", "until": ""},
    "number": {"number": history.NUMBER},
    "campaign": {"campaign_id": "1"},
    "batch": {"batch": history.BATCH},
    "error": {"error_code": history.ERROR},
}


def measure(cluster: Cluster, options: Options) -> list[Line]:
    """GET /v1/calls on one connection that stays open, 100 calls a page."""
    with serving(cluster, "api_lists") as here:
        history.fill(here, options.rows)
        url = serve(here)
        token = api_token.add("bench", scopes=["calls:read"], business_id=1, actor="bench").token
        everything = api_token.add("all", scopes=["calls:read"], actor="bench").token
        asker = _Asker(url, options.repeats)
        places, found = _places(here), {}
        for name, query in _FILTERS.items():
            given = {key: value or places[key].at.isoformat() for key, value in query.items()}
            found[name] = asker.took(token, given)
            if name != "number":  # one has too few calls
                found[f"{name}, in the middle"] = asker.took(token, given | {"before": str(places["before"])})
        found["all businesses"] = asker.took(everything, {})
    details = {name: {"p50 ms": percentile(one, 50), "p99 ms": percentile(one, 99)} for name, one in found.items()}
    worst = max(percentile(one, 99) for one in found.values())
    details["table"] = {"rows": float(options.rows)}
    return [Line("lists by HTTP, worst p99", worst, "ms", target=20, is_at="most", details=details)]


class _Asker:
    """Asks for a list again and again."""

    def __init__(self, url: str, repeats: int) -> None:
        self._line = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        self._repeats = repeats

    def took(self, token: str, query: dict[str, str]) -> list[float]:
        """Milliseconds of each answer."""
        took = []
        for _ in range(_WARM + self._repeats):
            began_at = time.monotonic()
            calls = self._ask(token, query)
            took.append(1000 * (time.monotonic() - began_at))
            if not calls:
                raise AssertionError(f"nothing was found by {sorted(query)}")
        return took[_WARM:]

    def _ask(self, token: str, query: dict[str, str]) -> list[Any]:
        headers = {"Authorization": f"Bearer {token}"}
        self._line.request("GET", f"/v1/calls?{urlencode(query)}", headers=headers)
        answer = self._line.getresponse()
        told = json.loads(answer.read())
        if answer.status != 200:
            raise AssertionError(f"{answer.status}: {str(told)[:500]}")
        return list(told["calls"])


def _places(here: World) -> dict[str, Place]:
    """Places in the history, from its oldest call: at so many tenths of its time."""
    (row,) = here.sql(
        "select oldest + 0.4 * whole, oldest + 0.5 * whole, oldest + 0.6 * whole"
        " from (select min(ended_at) as oldest, max(ended_at) - min(ended_at) as whole from call_log) as times"
    )
    return dict(zip(("since", "before", "until"), (Place(at, 1) for at in row), strict=True))
