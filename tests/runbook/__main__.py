"""
Follow the runbook on a booted Debian: `python -m tests.runbook [--only ALERT …]`.

Debian's systemd is booted in systemd-nspawn; PostgreSQL, Redis and Prometheus are Debian's, on its loopback, and the
carrier is the simulator, so no phone rings.  Each alert is caused, waited for, its *Look* commands are typed as they
stand, one of them must show what is wrong, its *Do* is done, and the alert must be gone.  Then all other commands are
typed, in their order.  Prometheus reads the shipped rules with `for: 0s` and windows of 20 s, and a snapshot of 20 s is
an old one.  The whole takes an hour on two busy cores.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TextIO

from tests import ROOT, old_system
from tests.runbook import causes, commands
from tests.runbook.machine import Done, Machine, prepare, why_not

RUNBOOK = (ROOT / "ops" / "runbook.md").read_text()
FIRE_S, GONE_S = 150, 150
SETTINGS = "OUTBOUND_WEB_HOST=127.0.0.1\nOUTBOUND_TICK_S=1\nOUTBOUND_RELOOK_S=1\nOUTBOUND_HOLD_MAX_S=15\n"
SETTINGS += "OUTBOUND_LEAD_S=10\nOUTBOUND_PUBLIC_URL=http://127.0.0.1:8090\n"
# Not a fault: what a command says with this status is an answer.
ANSWERS = {
    "outbound doctor": frozenset({0, 1}),
    "outbound ready": frozenset({0, 1}),
    "journalctl": frozenset({0, 1}),  # 1: no line matches
    "outbound recover": frozenset({0, 1}),
    "outbound rollback 0012 --yes": frozenset({0}),
    "outbound rollback 0012": frozenset({2}),  # it says what would be lost, and does nothing
}
AFTER = {
    "outbound rollback 0012 --yes": "outbound migrate",  # the version before is not installed here
    "outbound business set 1 --account AC0123456789abcdef0123456789abcdef": "outbound business set 1 --account default",
}
EXAMPLES = {
    "812": "select max(id) from call_log",
    "4711": "select pid from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid() limit 1",
}
NOT_UNDERSTOOD = (124, 126, 127)  # no end, no program
# What this machine has not: another database server, containers, the packages of another version.
ELSEWHERE = ("db.example.com", "docker compose", "postgresql://dialer_owner")
PROMETHEUS = """
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [/etc/prometheus/alerts.yml]
scrape_configs:
  - job_name: outbound
    static_configs: [{targets: ['127.0.0.1:8080']}]
"""


UNITS = {
    # What the carrier goes through to reach `web`: it can be away while all of outbound is well.
    "proxy.socket": "[Socket]\nListenStream=127.0.0.1:8090\n",
    "proxy.service": "[Service]\nExecStart=/lib/systemd/systemd-socket-proxyd 127.0.0.1:8080\n",
    "phones.service": (
        "[Service]\nEnvironment=CREDENTIALS_DIRECTORY=/etc/outbound/credentials\n"
        "EnvironmentFile=/etc/outbound/outbound.env\nExecStart=/usr/local/bin/outbound simulator\n"
    ),
}
ACCOUNT, TOKEN = "AC" + "5" * 32, "runbook-" + "t" * 24
OLD_TABLES = (
    f"set role outbound; create schema crm; set search_path = crm; {old_system.tables_sql('small')}"
    "insert into business (id, name, phone_e164) values (1, 'Small', '+15005550010');"
)
CREDENTIALS = {
    "DATABASE_URL": "postgresql://outbound:secret@127.0.0.1/outbound",
    "REDIS_URL": "redis://127.0.0.1:6379",
    "TWILIO_AUTH_TOKEN": TOKEN,
}


class Row(NamedTuple):
    """What came of one command."""

    command: str
    section: str  # the alert, or the heading
    verdict: str
    seconds: float


class Run:
    """One pass over the runbook on a machine; `rows` is what came of each command, `log` what each printed."""

    def __init__(self, machine: Machine, log: TextIO) -> None:
        self.machine = machine
        self.log = log
        self.rows: list[Row] = []

    def install(self) -> None:
        """Do what *Deploy* says, with its own commands; start Prometheus, the simulator and the proxy before `web`."""
        for statement in ("create role outbound login password 'secret'", "create database outbound owner outbound"):
            self._must(f'sudo -u postgres psql -c "{statement}"')
        for command in commands.of(RUNBOOK):
            if command.section == "Deploy":
                if command.text == "systemctl daemon-reload":  # after which everything starts
                    self._configure()
                self.follow(command, "Deploy")
        self._fill()

    def _configure(self) -> None:
        for setting, value in CREDENTIALS.items():
            self.machine.write(f"/etc/outbound/credentials/{setting}", value, 0o600)
        self.machine.write("/opt/old_tables.sql", OLD_TABLES)
        self.machine.write("/srv/account", f"{ACCOUNT}:{TOKEN}")
        self.machine.write("/etc/outbound/outbound.env", SETTINGS + f"TWILIO_ACCOUNT_SID={ACCOUNT}\n")
        self.machine.write("/etc/prometheus/prometheus.yml", PROMETHEUS)
        self.machine.write("/etc/prometheus/alerts.yml", impatient((ROOT / "ops" / "alerts.yml").read_text()))
        for unit, text in UNITS.items():
            self.machine.write(f"/etc/systemd/system/{unit}", text)
        self._must("systemctl daemon-reload; systemctl restart prometheus; systemctl start phones proxy.socket")

    def _fill(self) -> None:
        """Make what the runbook's examples speak of: business 1 and 2, campaign 1, call 812."""
        # `doctor` tries to add one and takes it back: the next would not be business 1.
        self._must(causes.sql("alter table business alter column id restart with 1"))
        twiml = "<Response><Say>Hello</Say></Response>"
        for business, number in (("Acme", "+15005550006"), ("Beta", "+15005550008")):
            self._must(
                f"outbound business add --name {business} --number {number} --twiml '{twiml}' "
                "--region US --time-zone America/New_York --any-hour"
            )
        self._must(
            "outbound window preset us; "
            "outbound campaign add --business 1 --name recall --number +15005550006 --number +15005550007; "
            + causes.sql(
                "create schema rehearsal; create sequence rehearsal.number; "
                "alter table call_log alter column id restart with 812"
            )
            + f"; {causes.calls('01')}"
        )

    def alert(self, name: str) -> None:
        """Cause one alert, look as the runbook says, do what it says, and see the alert end."""
        cause = causes.CAUSES[name]
        if not self._until(lambda: name not in self.firing(), GONE_S):
            self._note("(before)", name, "FAULT: it fires before it is caused", 0)
            return
        caused = self.shell(cause.cause)
        self._judge("(caused)", name, caused, is_look=False)
        if caused.status != 0:
            return
        self._wait("fires", name, lambda: name in self.firing(), FIRE_S)
        looks = [self.follow(one, name, is_look=True) for one in commands.of(RUNBOOK) if one.section == name]
        if not any(done is not None and re.search(cause.shows, done.output) for done in looks):
            self._note("(look)", name, f"FAULT: nothing says {cause.shows}", 0)
        if cause.outside:
            self._judge("(mended outside)", name, self.shell(cause.outside), is_look=False)
        for one in cause.do:
            self.type(one, name)
        if cause.time:
            self._judge("(time passes)", name, self.shell(cause.time), is_look=False)
        self._wait("is gone", name, lambda: name not in self.firing(), GONE_S)

    def the_rest(self) -> None:
        """All other commands, in their order, on a system that is well."""
        for command in commands.of(RUNBOOK):
            if command.section not in causes.CAUSES and command.section != "Deploy":
                self.follow(command, command.section)
            if command.text in AFTER:
                self._must(AFTER[command.text])

    def follow(self, command: commands.Command, section: str, *, is_look: bool = False) -> Done | None:
        """Type one command of the runbook as it stands; *is_look*: something is broken, and it may say so."""
        if command.language not in ("sh", "sql", "promql"):
            return None  # what a file looks like
        if any(word in command.text for word in ELSEWHERE):
            self._note(command.text, section, "not here: another server, or containers", 0)
            return None
        if command.language == "promql":
            done = self._ask(command.text)
        elif command.language == "sql":
            as_root = re.search(r"create |alter |grant |pg_terminate", command.text)
            program = "sudo -u postgres psql -X outbound" if as_root else "outbound psql"
            done = self.shell(f"{program} -v ON_ERROR_STOP=1 -f -", stdin=self._own(command.text))
        else:
            return self.type(command.text, section, is_look=is_look)
        self._judge(command.text, section, done, is_look=is_look)
        return done

    def type(self, text: str, section: str, answers: frozenset[int] | None = None, *, is_look: bool = False) -> Done:
        """Type one shell command, and `y` to whatever it asks."""
        known = next((ok for start, ok in ANSWERS.items() if text.startswith(start)), frozenset({0}))
        script = self._own(text)
        if text == "outbound recover":  # it asks at a terminal alone
            script = f"script --quiet --return --command '{text}' /dev/null"
        done = self.shell(script, stdin="y\n" if text.startswith("outbound ") else "")
        self._judge(text, section, done, answers or known, is_look=is_look)
        return done

    def _own(self, text: str) -> str:
        """The command with the newest call, and with the session that sleeps, for the examples of such ids."""
        for example, query in EXAMPLES.items():
            if example in text:
                found = self.machine.sh(
                    f'sudo -u postgres psql -AtqX outbound -c "{query}" 2> /dev/null'
                ).output.strip()
                text = text.replace(example, found or example)
        return text

    def shell(self, text: str, stdin: str = "") -> Done:
        """As in *First five minutes*: root's shell; `outbound` finds its settings by itself."""
        return self.machine.sh(text, stdin=stdin)

    def firing(self) -> set[str]:
        """The names of the alerts that fire; all of them, where Prometheus does not say."""
        answer = self._ask('ALERTS{alertstate="firing"}')
        if answer.status != 0:
            return set()
        return {series["metric"]["alertname"] for series in json.loads(answer.output)["data"]["result"]}

    def _ask(self, query: str) -> Done:
        ask = "curl -sf --data-urlencode query@- http://127.0.0.1:9090/api/v1/query"
        return self.machine.sh(ask, stdin=query, timeout_s=20)

    def _wait(self, what: str, name: str, condition: Callable[[], bool], timeout_s: float) -> None:
        began = time.monotonic()
        verdict = "ok" if self._until(condition, timeout_s) else f"FAULT: not within {timeout_s:.0f} s"
        self._note(f"({what})", name, verdict, time.monotonic() - began)

    def _until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(1)
        return condition()

    def _must(self, script: str) -> None:
        done = self.shell(f"set -e; {script}")
        assert done.status == 0, f"{script}: {done.output}"

    def _judge(
        self, text: str, section: str, done: Done, answers: frozenset[int] = frozenset({0}), *, is_look: bool
    ) -> None:
        is_wrong = done.status not in answers
        if is_look:  # a command that looks at what is broken may end with 1 or 3, but must have been understood
            is_wrong = done.status in NOT_UNDERSTOOD or (done.status == 2 and "Usage:" in done.output)
        is_wrong = is_wrong or (text.startswith("outbound ") and "Traceback" in done.output)
        self.log.write(f"\n### {section}: {text}\n{done.output}\n[{done.status}]\n")
        self.log.flush()
        verdict = f"FAULT: status {done.status}: {last_line(done)}" if is_wrong else f"ok ({done.status})"
        self._note(text, section, verdict.replace(" (0)", ""), done.seconds)

    def _note(self, text: str, section: str, verdict: str, seconds: float) -> None:
        row = Row(" ".join(text.split())[:90], section, verdict, seconds)
        self.rows.append(row)
        print(f"{row.section:<28}  {row.seconds:>5.1f} s  {row.verdict:<8}  {row.command}", flush=True)


def impatient(rules: str) -> str:
    """The alert rules, whose alerts fire at once, forget within 20 s and take a snapshot of 20 s for an old one."""
    rules = re.sub(r"\[\d+[mh]\]", "[20s]", re.sub(r"for: \w+", "for: 0s", rules))
    return rules.replace("(outbound_oldest_snapshot_seconds) > 900", "(outbound_oldest_snapshot_seconds) > 20")


def last_line(done: Done) -> str:
    """The end of a command's output."""
    lines = [line for line in done.output.splitlines() if line.strip()]
    return lines[-1][-160:] if lines else ""


def main() -> int:
    """Print a line per command and alert, and those with a fault once more; exit status 1 if there is one."""
    parser = argparse.ArgumentParser(prog="make runbook", description=__doc__)
    parser.add_argument("--base", type=Path, default=ROOT / ".venv" / "debian", help="where the Debian to boot is kept")
    parser.add_argument("--log", type=Path, default=ROOT / ".venv" / "runbook.log", help="what each command said")
    parser.add_argument("--only", nargs="*", metavar="ALERT", help="these alerts alone, and no other command")
    given = parser.parse_args()
    if reason := why_not():
        print(f"runbook: systemd cannot be booted here: {reason}", file=sys.stderr)
        return 2
    prepare(given.base)
    given.log.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as directory,
        given.log.open("w") as log,
        Machine(given.base, Path(directory) / "console.log") as machine,
    ):
        run = Run(machine, log)
        run.install()
        for name in given.only or causes.CAUSES:
            run.alert(name)
        if not given.only:
            run.the_rest()
    faults = [row for row in run.rows if row.verdict.startswith("FAULT")]
    print(f"\n{len(run.rows)} lines, {len(faults)} faults")
    for row in faults:
        print(f"{row.section}: {row.command}: {row.verdict}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
