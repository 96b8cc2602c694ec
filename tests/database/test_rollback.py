"""Going back takes nothing with it that somebody wrote, unless it was asked for; whichever command is used."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from outbound import db
from outbound.database import migrations
from tests import yoyo_here
from tests.conftest import World

ALL = migrations.known_migrations()
MIGRATIONS = db.sql_dir() / "migrations"
# Facts that the migration itself wrote, and brings back.
OWN_ROWS = {"phone_zone", "former_zone", "bridge_region", "number_range", "person_key", "audit_head", "worker.accounts"}
# One row in every table, each with what its constraints ask for.
ROWS = """
insert into business (name) values ('Acme');
insert into business_number (phone, business_id) values ('+15005560001', 1);
insert into retry_ladder (business_id, name, attempts_per_day_max, attempts_per_week_max) values (1, 'often', 1, 2);
insert into retry_step (ladder_id, outcome, step, wait) values (1, 'busy', 1, '1 hour');
insert into campaign (business_id, name) values (1, 'spring');
insert into campaign_number (campaign_id, phone) values (1, '+15005560001');
insert into leads (business_id, phone) values (1, '+15005550101');
insert into call_log (business_id, from_number, to_number, campaign_id) values (1, '+15005560001', '+15005550101', 1);
insert into call_event (call_id, call_sid, source, status) values (1, 'CA1', 'callback', 'ringing');
insert into counter (name, label, slot, value) values ('ended', 'failed', 0, 1);
insert into duty (name) values ('claimed');
insert into worker (id, threads) values (gen_random_uuid(), 1);
insert into audit (who, action, scope, key) values ('operator', 'pause', 'account', '');
insert into dial_control (scope, key, state) values ('business', '1', 'paused');
insert into calling_window (name, hours) values ('day', '{[540,1020)}');
insert into calling_day (window_id, day) values (1, '2026-01-01');
insert into suppression (phone) values ('+15005550102');
insert into consent (business_id, phone, given_at) values (1, '+15005550101', now());
insert into registry_check (phone, checked_at, is_listed) values ('+15005550101', now(), false);
insert into dialing_stop (cause, reason) values ('broker', 'it was flushed');
insert into call_set_aside (call_id, step, reason) values (1, 'claim', 'odd');
insert into web_presence default values;
insert into call_in_question (call_id, call_sid, was_paused) values (1, 'CA1', false);
insert into untagged_callback (dialed_before, accepted_until) values (now(), now());
insert into identity (database_oid) values (1);
insert into dials_begun (slot, calls) values (0, 1);
insert into adoption (old_schema, begun_by, stamp) values ('public', 'operator', '1');
insert into adopted (kind, old_id, fate) values ('call', 1, 'taken over');
insert into bridge_region (region, code, formats) values ('IL', '972', '[]');
insert into bridge_due (kind, call_id, state) values ('call', 1, '55P03');
insert into destination (place, allowed) values ('GB', true);
insert into spend_cap (scope, key, calls_per_day) values ('business', '1', 100);
insert into spend (scope, key, period, began_at) values ('business', '1', 'day', now());
insert into spend_reserved (call_id, business_id, dialed_at, seconds) values (1, 1, now(), 900);
insert into country_called (business_id, region) values (1, 'GB');
insert into forgotten (hash) values ('gone');
insert into batch (business_id, name) values (1, 'calls.csv');
insert into batch_reached (batch_id, hash) values (1, 'reached');
insert into api_token (public_id, secret_sha256, name, scopes, created_by)
values ('abcdefgh', sha256('secret'), 'app', '{calls:read}', 'operator');
insert into api_request (token_id, key, body_sha256) values (1, 'key', sha256('body'));
insert into call_import (business_id, batch, created_by) values (1, 'calls.csv', 'operator');
insert into webhook_endpoint (url, created_by) values ('https://receiver.example/', 'operator');
insert into event_reader (name, wanted_until) values ('operator@host', now());
insert into event_log (business_id, type, public_id, data) values (1, 'ping', 'evt_ping_1', '{}');
insert into webhook_delivery (endpoint_id, event_id) values (1, 1);
insert into page_session (secret_sha256, token_id, expires_at) values (sha256('secret'), 1, now());
update spend set answered = 1;
"""


def yoyo(world: World, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Roll back with yoyo's own command line."""
    url = world.url.replace("postgresql://", "postgresql+psycopg://")
    options = ["rollback", "--batch", "--no-config-file", "--database", url, str(MIGRATIONS), *arguments]
    command = [str(Path(sys.executable).with_name("yoyo")), *options]
    return subprocess.run(command, env=os.environ | env, capture_output=True, text=True, timeout=90, check=False)


def counts(world: World) -> dict[str, int]:
    tables = world.rows("select tablename::text as name from pg_tables where schemaname = 'public' order by 1")
    names = [row.name for row in tables if "yoyo" not in row.name]
    return {name: count(world, name) for name in names}


def count(world: World, table: str) -> int:
    return int(world.value(f"select count(*) from {table}"))  # noqa: S608 (a table of the catalog)


def test_yoyo_s_rollback_of_everything_drops_no_table_that_has_a_row(world: World) -> None:
    world.do(ROWS)
    before = counts(world)
    assert [name for name, rows in before.items() if not rows and name in migrations.known_tables()] == []

    back = yoyo(world, "--all")

    assert back.returncode != 0
    lost = "1 rows of spend where answered > 0, 1 rows of page_session"
    assert f"0050_page is not rolled back: it would lose {lost}; `outbound rollback`" in back.stderr
    assert counts(world) == before


@pytest.mark.timeout(600)  # each migration's rollback is tried twice
def test_step_by_step_yoyo_refuses_each_rollback_that_would_drop_what_is_there(world: World) -> None:
    world.do(ROWS)
    for name, below in zip(reversed(ALL[1:]), reversed(ALL[:-1]), strict=True):
        tables = {loss.removeprefix("table ") for loss in migrations.losses_of(name) if loss.startswith("table ")}
        if tables - OWN_ROWS:
            before = counts(world)
            with pytest.raises(psycopg.Error, match=f"{name} is not rolled back: it would lose "):
                yoyo_here.roll_back_all(world.url)
            assert counts(world) == before

        assert migrations.rollback(below) == [name]


def test_a_column_that_holds_something_stays_too(world: World) -> None:
    call_id = world.queued()
    world.do("update call_log set over_by = now() where id = %s", call_id)
    world.do("update call_log set status = 'canceled', error_code = 'operator' where id = %s", call_id)
    migrations.rollback("0029_identity_schema")  # the audit has rows of its own

    back = yoyo(world, "--all")

    assert (
        "0024_carrier_pace is not rolled back: it would lose 1 rows of call_log where over_by is not null"
        in back.stderr
    )
    assert world.call(call_id).over_by is not None
    assert world.call(call_id).error_code == "operator"


def test_an_empty_database_of_ours_goes_back_to_nothing(empty_database: str) -> None:
    empty = World(empty_database)
    migrations.migrate()

    back = yoyo(empty, "--all")

    assert back.returncode == 0, back.stderr
    assert counts(empty) == {}
    empty.connection.close()


def test_who_was_asked_loses_what_was_said_and_nothing_of_the_first_three_tables(world: World) -> None:
    world.do(ROWS)
    kept = {name: count(world, name) for name in ("business", "call_log", "leads")}

    migrations.rollback(ALL[0])

    assert counts(world) == kept
    with pytest.raises(db.Error, match="empty these tables by hand first"):
        migrations.rollback("")
    assert counts(world) == kept
    world.do("truncate business, call_log, leads")
    assert migrations.rollback("") == [ALL[0]]


def test_every_rollback_that_drops_something_looks_before() -> None:
    for name in ALL:
        text = (MIGRATIONS / f"{name}.rollback.sql").read_text()
        dropped = migrations.losses_of(name)
        looked = re.findall(r"\('(\w+)', '([^']+(?:''[^']*)*)'\)", text)
        for loss in dropped:
            kind, what = loss.split(" ", 1)
            if name == ALL[0] or what in OWN_ROWS or what == "dial_control":  # whose one row of its own says nothing
                continue
            table, _, column = what.partition(".")
            known = any(
                at == table and (condition == "true" or column in condition.split()) for at, condition in looked
            )
            assert known, f"{name} drops {kind} {what} without a look"
        if dropped and name != "0010_phone_zone":
            assert text.index("raise exception") < text.index("drop ", text.index("raise exception"))
