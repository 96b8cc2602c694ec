"""Does the carrier let us in, with every account, and do its callbacks reach us?"""

import base64
import urllib.error
import urllib.request
from http.client import HTTPException
from urllib.parse import urlencode, urlsplit

from outbound import db, settings_model
from outbound.carrier import CarrierSilent, accounts, callback_tag, twilio_webhooks
from outbound.carrier.twilio import carrier
from outbound.checks.finding import Check, Result, fail, first_line, ok, some, warn
from outbound.config import settings
from outbound.formats import urls

sql = db.statements("checks/carrier")

_HTTP_TIMEOUT_S = 10
_NO_CALL = 10**18 - 1  # an id that no call will ever have
_NOBODY = "+15005550000"
_NO_SUCH_CALL = "CA" + "0" * 32


def _carrier() -> Result:
    simulated = settings().carrier == "simulator"
    try:
        carrier().fetch_call(_NO_SUCH_CALL)  # it knows none of that name, and must let us in to say so
    except CarrierSilent as silence:
        if str(silence) in ("HTTP 401", "HTTP 403"):
            return fail(
                f"it does not let us in: {silence}",
                "set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN to one account's, the token its primary one",
            )
        mend = "start `outbound simulator`" if simulated else "look at the carrier's status page, DNS and proxies"
        return fail(f"it does not answer: {silence}", mend) if simulated else warn(f"no answer: {silence}", mend)
    if simulated:
        return warn("a simulator: no phone rings", "set OUTBOUND_CARRIER=twilio when phones shall ring")
    return ok("it lets us in")


def _accounts() -> Result:
    """The accounts of businesses: is each one's file here and on every worker's host, and does it let us in?"""
    with db.connect() as connection:
        named = {row.account: row for row in sql.accounts_of_businesses(connection)}
    wrong = []
    for account in sorted({*named, *accounts.beside(), *accounts.faults()}):
        fault = _account_fault(account, named.get(account))
        if fault is not None:
            of = f" of business {', '.join(map(str, named[account].businesses))}" if account in named else ""
            wrong.append(f"{account}{of}: {fault}")
    if wrong:
        mend = "put each account's credentials into the file SID.json of TWILIO_ACCOUNTS_DIR, on every host"
        return fail(some(wrong), mend)
    return ok(
        f"{len(named)} beside TWILIO_ACCOUNT_SID, and each lets us in" if named else "none but TWILIO_ACCOUNT_SID"
    )


def _account_fault(account: str, named: db.Row | None) -> str | None:
    if fault := accounts.faults().get(account):
        return f"its file {fault}"
    if accounts.credentials(account) is None:
        return "its file is missing here"
    if named is not None and named.fault is not None:
        return str(named.fault)
    try:
        carrier(account).fetch_call(_NO_SUCH_CALL)
    except CarrierSilent as silence:
        return f"it does not let us in: {silence}"
    return None


def _public_url() -> Result:
    url = f"{settings().callback_base}/healthz"
    status, body = _ask(url)
    if status == 200 and body.strip() == "ok":
        return ok(_shown(url))
    if status is None:
        return fail(f"{_shown(url)}: {body}", "start `outbound web`, or correct the URL, DNS, TLS or proxy")
    return fail(
        f"{_shown(url)} answers {status}, and not as ours",
        "let OUTBOUND_PUBLIC_URL lead to `outbound web`; a proxy must strip the path that it adds, and not redirect",
    )


def _callbacks() -> Result:
    """A callback about a call that does not exist, once as the carrier would sign it and once forged."""
    if not settings().has_auth_token:
        return ok("not looked at: only `outbound web` has the auth token that signs them")
    url = f"{settings().callback_base}/callbacks/{_NO_CALL}/{callback_tag.make(_NO_CALL, _NOBODY)}"
    form = {
        "AccountSid": settings().twilio_account_sid or "",
        "CallSid": "CA" + "0" * 32,
        "CallStatus": "completed",
        "Direction": "outbound-api",
        "To": _NOBODY,
    }
    signature = twilio_webhooks.sign(url, form)
    status, body = _ask(url, form, signature)
    if status == 503:
        return fail("the web process cannot reach its database", "look at the log of `outbound web`")
    if status == 403:
        return fail(
            "what the carrier signs is refused",
            "give `outbound web` the same TWILIO_AUTH_TOKEN, TWILIO_ACCOUNT_SID, OUTBOUND_CALLBACK_KEY and"
            " OUTBOUND_PUBLIC_URL, and start it again; a proxy must hand on the path as it came",
        )
    if status != 404:
        return fail(f"a signed callback got {status or body}", "look at the log of `outbound web`, and at proxies")
    forged, _ = _ask(url, form, signature[::-1])
    if forged != 403:
        return fail(
            f"a forged callback was answered {forged}",
            "nothing but `outbound web` may answer there: take out whatever stands between",
        )
    return ok("signed ones are taken, forged ones refused")


def _ask(url: str, form: dict[str, str] | None = None, signature: str = "") -> tuple[int | None, str]:
    """
    Return what a URL answers: status and text; (None, why) where it cannot be reached.  Redirects are not followed.
    """
    request = urllib.request.Request(urls.without_login(url), data=urlencode(form).encode() if form else None)  # noqa: S310
    request.add_header("X-Twilio-Signature", signature)
    login = urlsplit(url).netloc.rpartition("@")[0]
    if login:
        request.add_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    on_loopback = urlsplit(url).hostname in settings_model.LOOPBACK
    proxies = urllib.request.ProxyHandler({} if on_loopback else None)
    try:
        with urllib.request.build_opener(_NoRedirect, proxies).open(request, timeout=_HTTP_TIMEOUT_S) as answer:
            return answer.status, answer.read(200).decode(errors="replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""
    except urllib.error.URLError as error:
        return None, urls.without_password(str(error.reason))
    except (OSError, HTTPException) as error:
        return None, first_line(error)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The carrier does not repeat a POST elsewhere; neither do we."""

    def redirect_request(self, *_: object) -> None:
        """Do not follow redirects."""


def _shown(url: str) -> str:
    return urls.without_password(url)


CHECKS = (
    Check("carrier", _carrier),
    Check("carrier accounts", _accounts, ("migrations", "carrier")),
    Check("public URL", _public_url),
    Check("callbacks", _callbacks, ("public URL",)),
)
