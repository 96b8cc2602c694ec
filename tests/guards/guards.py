"""The guards: where each stands, what it says, what is left without it, and the test that must then fail."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Guard:
    """
    One guard.

    Attributes:
        name: what it keeps from happening.
        file: where it stands.
        cuts: pairs of (the text of the guard, what stands there without it); all are cut at once, each everywhere.
        test: what must fail without it, as pytest names it.
    """

    name: str
    file: str
    cuts: tuple[tuple[str, str], ...]
    test: str


GUARDS = (
    Guard(
        "only a claimed call is dialed",
        "sql/dial.sql",
        (("call_log.id = :call_id and call_log.status = 'claimed' and", "call_log.id = :call_id and"),),
        "tests/test_dial.py::test_only_a_claimed_call_is_dialed",
    ),
    Guard(
        "a redelivered nudge rings no phone again",
        "sql/dial.sql",
        (("call_log.id = :call_id and call_log.status = 'claimed' and", "call_log.id = :call_id and"),),
        "tests/test_dial.py::test_a_phone_rings_once_whatever_is_redelivered",
    ),
    Guard(
        "the fence of a put-back",
        "sql/dial.sql",
        (("and fence = :fence and call_sid is null", "and :fence = :fence and call_sid is null"),),
        "tests/test_dial.py::test_a_stale_put_back_cannot_move_a_dial_that_somebody_else_began",
    ),
    Guard(
        "a refusal does not overrule a callback",
        "sql/dial.sql",
        (("and fence = :fence and call_sid is null", "and fence = :fence"),),
        "tests/test_dial.py::test_a_refusal_that_comes_after_a_callback_adopted_the_call_changes_nothing",
    ),
    Guard(
        "the from-state of a claim",
        "sql/dispatch.sql",
        (
            (" and status = 'queued' for update skip locked", " for update skip locked"),
            (
                "where id = any(array(select id from locked)) and status = 'queued'",
                "where id = any(array(select id from locked))",
            ),
            ("status = 'queued' and due_at <= now()", "status in ('queued', 'claimed') and due_at <= now()"),
        ),
        "tests/test_races.py::test_two_dispatchers_never_take_the_same_call",
    ),
    Guard(
        "a claim does not wait for a row that somebody holds",
        "sql/dispatch.sql",
        (("for update skip locked", "for update"),),
        "tests/test_dispatch.py::test_a_row_that_somebody_holds_does_not_stop_the_claim",
    ),
    Guard(
        "no worker, no claim",
        "sql/dispatch.sql",
        (("where seen_at > now() - make_interval(secs => :worker_silent_s)", "where :worker_silent_s > 0"),),
        "tests/test_dispatch.py::test_nothing_is_claimed_while_no_worker_is_alive",
    ),
    Guard(
        "few claims are outstanding",
        "sql/dispatch.sql",
        (("- (select count(*) from call_log where status = 'claimed')", ""),),
        "tests/test_dispatch.py::test_no_more_is_claimed_than_the_living_threads_can_soon_dial",
    ),
    Guard(
        "one dispatcher claims at a time",
        "outbound/dispatch.py",
        (("if not sql.take_turn(connection):", "if sql.take_turn is None:"),),
        "tests/test_races.py::test_the_bound_on_claims_holds_for_all_dispatchers_together",
    ),
    Guard(
        "a report of another number adopts no call",
        "sql/callback.sql",
        (("coalesce(:to_number::text, to_number) is not", "coalesce(to_number, :to_number::text) is not"),),
        "tests/test_callback.py::test_a_report_that_names_another_number_adopts_no_call",
    ),
    Guard(
        "businesses take turns",
        "sql/dispatch.sql",
        (("order by turn, random()", "order by id"),),
        "tests/test_dispatch.py::test_businesses_take_turns_whoever_has_more",
    ),
    Guard(
        "nobody is called before it is due",
        "sql/dispatch.sql",
        (("and due_at <= now()", ""),),
        "tests/test_dispatch.py::test_a_call_is_not_claimed_before_it_is_due",
    ),
    Guard(
        "one live call per business and number",
        "sql/migrations/0005_call_log_queue.sql",
        (("create unique index if not exists call_log_one_live", "create index if not exists call_log_one_live"),),
        "tests/test_enqueue.py",
    ),
    Guard(
        "one call per key",
        "sql/migrations/0005_call_log_queue.sql",
        (
            (
                "create unique index if not exists call_log_idempotency_key",
                "create index if not exists call_log_idempotency_key",
            ),
        ),
        "tests/test_enqueue.py",
    ),
    Guard(
        "a call_sid belongs to one row",
        "sql/migrations/0005_call_log_queue.sql",
        (
            (
                "create unique index if not exists call_log_call_sid",
                "create index if not exists call_log_call_sid",
            ),
        ),
        "tests/test_callback.py",
    ),
    Guard(
        "illegal moves by hand are refused",
        "sql/migrations/0005_call_log_queue.sql",
        (
            (
                "create or replace trigger call_log_guard before update",
                "create or replace trigger call_log_guard after update",
            ),
        ),
        "tests/test_schema.py",
    ),
    Guard(
        "no live row without a deadline",
        "sql/migrations/0005_call_log_queue.sql",
        (("or overdue_at is not null", "or true"),),
        "tests/test_schema.py",
    ),
    Guard(
        "a status only moves forward",
        "sql/callback.sql",
        (("call_status_rank(report.status) > call_status_rank(call_log.status)", "true"),),
        "tests/test_callback.py",
    ),
    Guard(
        "a report of another call changes nothing",
        "sql/callback.sql",
        (("and (call_sid = :call_sid\n", "and (true\n"),),
        "tests/test_callback.py",
    ),
    Guard(
        "a late truth does not take a number that another live call holds",
        "sql/callback.sql",
        (("and other.id <> call_log.id", "and false"),),
        "tests/test_callback.py",
    ),
    Guard(
        "the same event is kept once",
        "sql/migrations/0006_call_event.sql",
        (("create unique index if not exists call_event_once", "create index if not exists call_event_once"),),
        "tests/test_callback.py",
    ),
    Guard(
        "an overdue claim, not a fresh one, is taken back",
        "sql/cleanup.sql",
        (("where status = 'claimed' and overdue_at < now()", "where status = 'claimed'"),),
        "tests/test_cleanup.py::test_an_overdue_claim_goes_back_to_the_queue_and_a_fresh_one_stays",
    ),
    Guard(
        "clean-up closes no call that has a call_sid",
        "sql/cleanup.sql",
        (
            (
                "       and call_sid is null\n       and overdue_at < now() - make",
                "       and overdue_at < now() - make",
            ),
            ("overdue.id and call_sid is null and status in", "overdue.id and status in"),
        ),
        "tests/test_cleanup.py::test_a_call_that_has_a_call_sid_is_never_closed_by_clean_up",
    ),
    Guard(
        "clean-up waits until the carrier was asked",
        "sql/cleanup.sql",
        (("and overdue_at < now() - make_interval(secs => :grace_s)", "and overdue_at < now() and :grace_s > 0"),),
        "tests/test_cleanup.py::test_a_call_without_a_call_sid_is_left_alone_until_the_carrier_was_asked",
    ),
    Guard(
        "each rule is a transaction of its own",
        "outbound/cleanup.py",
        (("    except Exception:\n        log.exception", "    except ZeroDivisionError:\n        log.exception"),),
        "tests/test_cleanup.py::test_a_rule_that_fails_stops_no_other_rule",
    ),
    Guard(
        "absence is believed at the second look",
        "outbound/config.py",
        (("LOOKS_MIN = 2", "LOOKS_MIN = 1"),),
        "tests/test_reconcile.py::test_absence_is_believed_only_at_the_second_look",
    ),
    Guard(
        "two hosts do not ask at once",
        "sql/reconcile.sql",
        (("and (looked_at is null or looked_at < now() - make_interval(secs => :relook_s))", "and :relook_s > 0"),),
        "tests/test_reconcile.py::test_two_hosts_ask_about_a_call_once",
    ),
    Guard(
        "a call that another row has is no candidate",
        "sql/reconcile.sql",
        (("where not exists (select from call_log where call_log.call_sid = candidate.call_sid)", ""),),
        "tests/test_reconcile.py::test_a_call_at_the_carrier_that_another_row_has_is_no_candidate",
    ),
    Guard(
        "one lead per caller",
        "sql/migrations/0004_leads_one_per_phone.sql",
        (("create unique index if not exists leads_one_per_phone", "create index if not exists leads_one_per_phone"),),
        "tests/test_lead.py",
    ),
    Guard(
        "a link to a lead never changes",
        "sql/lead.sql",
        (("coalesce(call_log.lead_id, lead.id)", "lead.id"),),
        "tests/test_lead.py",
    ),
    Guard(
        "a lead message without a call_sid is set aside",
        "outbound/lead.py",
        (("if not isinstance(call_sid, str) or not call_sid:", "if call_sid is ...:"),),
        "tests/test_lead.py",
    ),
    Guard(
        "a 5xx is an unknown outcome",
        "outbound/carrier/twilio.py",
        (("raise CallUnsure", "raise CallNotSent"), ("return CallUnsure", "return CallNotSent")),
        "tests/test_dial.py::test_a_dial_of_unknown_outcome_is_never_put_back_in_the_queue",
    ),
    Guard(
        "callbacks are signed",
        "outbound/web/callbacks.py",
        (("if not twilio.is_genuine(", "if False and not twilio.is_genuine("),),
        "tests/test_web.py",
    ),
    Guard(
        "callbacks are of our account",
        "outbound/web/callbacks.py",
        (('if form.get("AccountSid") != settings().twilio_account_sid:', "if False:"),),
        "tests/test_web.py",
    ),
    Guard(
        "a callback has a bounded body",
        "outbound/web/callbacks.py",
        (("if len(body) > BODY_MAX:", "if False:"),),
        "tests/test_web.py",
    ),
    Guard(
        "no phone rings unless Twilio is configured",
        "outbound/config.py",
        (
            (
                'if settings.carrier == "simulator":\n        if api_host not in LOOPBACK:',
                'if settings.carrier == "simulator":\n        if False:',
            ),
        ),
        "tests/test_config.py",
    ),
    Guard(
        "no listener off loopback without a token",
        "outbound/config.py",
        (("if settings.web_host not in LOOPBACK and settings.metrics_token is None:", "if False:"),),
        "tests/test_config.py",
    ),
    Guard(
        "nobody calls with a neighbour's number",
        "sql/enqueue.sql",
        (("phone = :from_number and business_id <> :business_id", "false"),),
        "tests/test_enqueue.py",
    ),
    Guard(
        "a worker refuses an old schema",
        "outbound/worker.py",
        (("schema.require()", "pass"),),
        "tests/test_worker.py::test_a_worker_refuses_a_schema_older_than_it_needs",
    ),
    Guard(
        "one migration at a time",
        "sql/schema.sql",
        (("select pg_advisory_lock(", "select ("),),
        "tests/test_schema.py",
    ),
    Guard(
        "a forked process opens its own connections",
        "outbound/db.py",
        (("os.getpid()", "0"),),
        "tests/test_db.py::test_a_forked_process_never_speaks_through_its_parents_sockets",
    ),
    Guard(
        "no number in a log line",
        "outbound/logs.py",
        (('_PHONE.sub(r"\\g<said>+…", super().format(record))', "super().format(record)"),),
        "tests/test_logs.py",
    ),
)
