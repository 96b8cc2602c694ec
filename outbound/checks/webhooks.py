"""Does everybody receive the events that they asked for?"""

from outbound import db
from outbound.checks.finding import Check, Result, fail, ok, some, warn
from outbound.config import settings
from outbound.formats import moments, network_addresses, urls

sql = db.statements("checks/webhooks")

# The widest private networks of IPv4 and IPv6, 10.0.0.0/8 and fc00::/7: what is wider holds addresses of others.
_PREFIX_MIN = {4: 8, 6: 7}


def _webhooks() -> Result:
    endpoints = db.run(sql.endpoints)
    if endpoints and settings().webhook_key is None:
        mend = "set it to the key that made the secrets of the endpoints, here and for every worker"
        return fail("OUTBOUND_WEBHOOK_KEY is not set: nothing is sent to any endpoint", mend)
    networks = network_addresses.networks(settings().webhook_allow or "")
    if wide := [str(network) for network in networks if network.prefixlen < _PREFIX_MIN[network.version]]:
        mend = "name your own networks alone: public addresses are open on port 443 without it"
        return warn(f"OUTBOUND_WEBHOOK_ALLOW opens networks of others: {', '.join(wide)}", mend)
    if trouble := [said for said in map(_trouble, endpoints) if said]:
        mend = "mend the receiver, then `outbound webhook set ID --on`; `outbound webhook deliveries ID` says more"
        return warn(some(trouble), mend)
    return ok("no endpoint is off or failing" if endpoints else "there is no endpoint")


def _trouble(endpoint: db.Row) -> str | None:
    """Say what keeps an endpoint from its events, with its address without the path, which may hold a secret."""
    named = f"endpoint {endpoint.id} ({_host(endpoint.url)})"
    if endpoint.state == "off":
        return f"{named} is off: {str(endpoint.state_reason).removesuffix('.')}"
    if endpoint.failing_since is not None:
        return (
            f"{named} fails since {moments.shown(endpoint.failing_since, 'UTC')} ({endpoint.failures} times in a row)"
        )
    return None


def _host(url: str) -> str:
    parts = urls.parts(urls.without_login(url))
    return f"{parts.scheme}://{parts.netloc}" if parts else "an address that cannot be read"


CHECKS = (Check("webhooks", _webhooks, ("migrations",)),)
