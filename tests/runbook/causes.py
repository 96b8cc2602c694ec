"""What brings each alert about, for real, and what of the runbook's *Do* ends it."""

from typing import NamedTuple


class Cause(NamedTuple):
    """
    One alert.

    Attributes:
        cause: a script that brings it about.
        shows: what the commands of *Look* must say, one of them at least; a regular expression.
        outside: a script for what is mended outside of outbound: a server, a lock, a trigger, the carrier.
        do: commands of *Do*, as they stand there.
        time: a script for the hours after which it ends by itself; they are written into the database.
    """

    cause: str
    shows: str
    outside: str = ""
    do: tuple[str, ...] = ()
    time: str = ""


def sql(statement: str) -> str:
    """A statement as the superuser of the database, who is no part of outbound."""
    quoted = statement.replace('"', '\\"')
    return f'sudo -u postgres psql -qX -v ON_ERROR_STOP=1 outbound -c "{quoted}"'


OWN = {"1": "+15005550006", "2": "+15005550008"}  # the numbers of the businesses
ADOPTED = "(select max(id) from business)"


def calls(digits: str, count: int = 1, business: str = "1") -> str:
    """New calls; the last two digits are what becomes of each at the simulator.  No number is called twice."""
    own = OWN.get(business, "+15005550010")
    return sql(
        f"insert into call_log (business_id, from_number, to_number) select {business}, '{own}', "
        f"'+150056' || lpad(nextval('rehearsal.number')::text, 3, '0') || '{digits}' from generate_series(1, {count})"
    )


WORKERS = "systemctl restart outbound-workers.target"
SCHEDULER = "systemctl restart outbound-scheduler"
WEB = "systemctl restart outbound-web"
# By their own names, too: of a target's stop, systemctl does not wait for what is a part of it.
STOP_WORKERS = "systemctl stop outbound-workers.target 'outbound-worker@*'"
STOP_SCHEDULER = "systemctl stop outbound-scheduler"
HOLD = 'nohup sudo -u postgres psql -qX outbound -c "{0}" > /dev/null 2>&1 &'
LET_GO = sql(
    "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()"
)
AUTH_TOKEN = "/etc/outbound/credentials/TWILIO_AUTH_TOKEN"
IN_THE_AIR = "status in ('initiated', 'ringing', 'in-progress')"
UNTIL_IN_THE_AIR = (
    "for n in $(seq 100); do sudo -u postgres psql -AtqX outbound -c "
    f"\"select 1 from call_log where {IN_THE_AIR} and to_number like '%{{0}}'\" | grep -q 1 && break; sleep 0.1; done"
)
# A request of the system before, on the same account and from the same number; it drops the connection, as with ours.
DIAL_BESIDE = (
    'for n in 1 2; do curl -sf -o /dev/null -u "$(cat /srv/account)" '
    '--data-urlencode From=+15005550006 --data-urlencode "To=$(sudo -u postgres psql -AtqX outbound -c '
    '"select to_number from call_log where to_number like \'%27\' order by id desc limit 1")" '
    "--data-urlencode 'Twiml=<Response/>' "
    "http://127.0.0.1:8081/2010-04-01/Accounts/$(cut -d: -f1 /srv/account)/Calls.json; done; true"
)
OLD_TABLES = "sudo -u postgres psql -qX -v ON_ERROR_STOP=1 outbound -f /opt/old_tables.sql"
LEAD_JOB_OF_THE_OLD_SYSTEM = """REDIS_URL=$(cat /etc/outbound/credentials/REDIS_URL) /opt/outbound/bin/python -c "
from outbound.calls.lead import create_lead_from_call_job as job
job.send(call_sid=None, from_number='+15005550199', business_id=1, direction='inbound')
" """
ENDPOINT = sql(
    "delete from webhook_endpoint; insert into webhook_endpoint (id, url, created_by)"
    " overriding system value values (3, 'https://receiver.invalid/', 'rehearsal')"
)
FAILS_FOR_DAYS = sql("update webhook_endpoint set failures = 30, failing_since = now() - interval '6 days'")
WEBHOOK_KEY = (
    "test -s /etc/outbound/credentials/OUTBOUND_WEBHOOK_KEY || "
    f"{{ openssl rand -hex 32 > /etc/outbound/credentials/OUTBOUND_WEBHOOK_KEY; {WORKERS}; }}"
)
FORGED = (
    "for n in $(seq 40); do curl -s -o /dev/null -X POST -H 'X-Twilio-Signature: none' "
    "-d CallSid=CA1 http://127.0.0.1:8080/callbacks/812; done"
)

CAUSES = {
    "OutboundTargetDown": Cause("systemctl stop outbound-web.socket outbound-web", "inactive", do=(WEB,)),
    "OutboundMetricsAbsent": Cause("systemctl stop outbound-web.socket outbound-web", "inactive", do=(WEB,)),
    "OutboundDatabaseUnreadable": Cause(
        "systemctl stop postgresql@15-main", "refused", outside="systemctl start postgresql@15-main"
    ),
    "OutboundSchemaTooOld": Cause("outbound rollback 0036 --yes", "outbound migrate", do=("outbound migrate",)),
    "OutboundNoWorkers": Cause(STOP_WORKERS, "[Nn]o worker", do=(WORKERS,)),
    "OutboundBrokerLost": Cause(
        "systemctl stop redis-server", "Could not connect", do=("systemctl restart redis-server",)
    ),
    "OutboundDialingStopped": Cause(
        f"systemctl stop redis-server; {calls('01')}", r"broker +\|", outside="systemctl start redis-server"
    ),
    "OutboundNoProgress": Cause(f"{STOP_WORKERS}; {calls('01')}", "[Nn]o worker", do=(WORKERS,)),
    "OutboundOldestDueCall": Cause(
        f"outbound limit business 2 --live-max 1; {calls('29', 2, business='2')}; {UNTIL_IN_THE_AIR.format('29')}; "
        + sql("update call_log set due_at = now() - interval '2 hours' where status = 'queued'"),
        "live",
        do=("outbound limit business 2 --live-max 20",),
    ),
    "OutboundCarrierHold": Cause(
        f"echo changed > {AUTH_TOKEN}; {WORKERS}; {calls('01', 12)}",
        "20003",
        outside=f"cut -d : -f 2 /srv/account > {AUTH_TOKEN}",
        do=(
            "systemctl restart outbound-web && systemctl restart outbound-workers.target outbound-scheduler",
            "outbound resume everything",
        ),
    ),
    "OutboundScopePaused": Cause(calls("16", 8), "21215", do=("outbound resume business 1",)),
    "OutboundPaceSaturated": Cause(
        f"outbound limit everything --calls-per-second 1; {calls('01', 60)}",
        "1",
        do=("outbound limit everything --calls-per-second 5",),
    ),
    "OutboundSpendCapReached": Cause(
        f"outbound limit business 2 --calls-per-day 1; {calls('01', 3, business='2')}",
        "reached",
        do=("outbound limit business 2 --calls-per-day 5000",),
    ),
    "OutboundNewCountry": Cause(
        "outbound destination allow GB --business 2; outbound enqueue --business 2 --to +442079460958",
        r"2 +\| GB",
        do=("outbound pause business 2", "outbound destination remove GB --business 2"),
        time=sql("update country_called set first_at = first_at - interval '2 hours'") + "; outbound resume business 2",
    ),
    "OutboundCallsJump": Cause(
        calls("13", 110, business="2"),
        r"\b1[01]\d \|",
        time=sql("update spend set calls = 1, seconds = 1 where scope = 'business' and key = '2' and period = 'day'"),
    ),
    "OutboundCapSaturated": Cause(
        f"outbound limit business 2 --live-max 1; {calls('29', 3, business='2')}",
        "in-progress|ringing",
        do=("outbound limit business 2 --live-max 20",),
    ),
    "OutboundCallsStuck": Cause(
        f"{calls('22')}; {UNTIL_IN_THE_AIR.format('22')}; {STOP_SCHEDULER}; "
        + sql(f"update call_log set overdue_at = now() - interval '9 minutes' where {IN_THE_AIR}"),
        "inactive",
        do=(SCHEDULER,),
    ),
    "OutboundTaskOverdue": Cause(
        f"{STOP_SCHEDULER}; " + sql("update duty set last_success_at = now() - interval '1 hour'"),
        "inactive",
        do=(SCHEDULER,),
    ),
    "OutboundCallbackSilence": Cause(
        f"systemctl stop proxy.socket proxy; {calls('01', 12)}",
        "public URL",
        outside="systemctl start proxy.socket",
    ),
    "OutboundCallbacksRefused": Cause(f"{FORGED}; sleep 3; {FORGED}", "forged"),
    "OutboundNeverDialedCallback": Cause(
        f"{calls('29')}; {UNTIL_IN_THE_AIR.format('29')}; "  # a long call: callbacks are still to come
        + sql(
            "set session_replication_role = replica; "
            "update call_log set status = 'queued', call_sid = null, dialed_at = null, overdue_at = null, "
            f"due_at = now() + interval '1 hour' where {IN_THE_AIR}"
        ),
        "never_dialed",
        do=("outbound recover",),
    ),
    "OutboundOutcomesUnknown": Cause(calls("24", 12), "dial.unsure"),
    "OutboundSeveralCandidates": Cause(
        f"{calls('27')}; {UNTIL_IN_THE_AIR.format('27')}; {DIAL_BESIDE}", "CA[0-9a-f]{32}"
    ),
    "OutboundCallsSetAside": Cause(
        sql(
            "create function theirs() returns trigger language plpgsql as "
            "'begin raise check_violation using message = ''theirs''; end'; "
            "create trigger theirs before update on call_log for each row when (new.to_number like '%77') "
            "execute function theirs()"
        )
        + f"; {calls('77')}",
        "theirs|23514",
        outside=sql("drop trigger theirs on call_log; drop function theirs()"),
    ),
    "OutboundCallsFailing": Cause(calls("13", 25), "sip_404"),
    "OutboundLeadsNotMade": Cause(
        HOLD.format("begin; lock table leads in share row exclusive mode; select pg_sleep(3600)")
        + f" sleep 1; {calls('01', 3)}",
        "lead",
        outside=LET_GO,
    ),
    "OutboundLeadsSetAside": Cause(LEAD_JOB_OF_THE_OLD_SYSTEM, "lead.set_aside"),
    "OutboundOldTablesBehind": Cause(
        f"{OLD_TABLES}; OUTBOUND_SCHEMA=public outbound adopt --from-schema crm --old-is-stopped --yes; "
        + sql(f"update business set twiml = '<Response/>', window_id = null where id = {ADOPTED}")
        + "; "
        + sql("alter table crm.call_log rename column status to state")
        + f"; {calls('01', 3, business=ADOPTED)}",
        "42703",
        outside=sql("alter table crm.call_log rename column state to status"),
    ),
    "OutboundWebhooksLate": Cause(
        f"{ENDPOINT}; outbound webhook test 3",
        "webhook.no_key",
        outside="openssl rand -hex 32 > /etc/outbound/credentials/OUTBOUND_WEBHOOK_KEY",
        do=("systemctl restart outbound-workers.target outbound-scheduler",),
    ),
    "OutboundWebhookEndpointOff": Cause(
        f"{WEBHOOK_KEY}; {ENDPOINT}; {FAILS_FOR_DAYS}; outbound webhook test 3",
        "off since",
        do=("outbound webhook set 3 --on",),
    ),
    "OutboundSnapshotHeld": Cause(HOLD.format("select count(*) from pg_class, pg_sleep(3600)"), "pg_sleep"),
}
