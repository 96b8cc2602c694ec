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
        also: the function's file, where a statement and a function that it calls both say it: each alone would do.
    """

    name: str
    file: str
    cuts: tuple[tuple[str, str], ...]
    test: str
    also: str | None = None

    @property
    def files(self) -> list[str]:
        """Every file that is cut."""
        return [self.file] if self.also is None else [self.file, self.also]


GUARDS = (
    Guard(
        "only a claimed call is dialed",
        "sql/calls/dial.sql",
        (
            (
                "where call_log.id = any(:call_ids::bigint[]) and status = 'claimed'",
                "where call_log.id = any(:call_ids)",
            ),
            ("where call_log.id = call.id and status = 'claimed'", "where call_log.id = call.id"),
        ),
        "tests/calls/test_dial.py::test_only_a_claimed_call_is_dialed",
    ),
    Guard(
        "a redelivered nudge rings no phone again",
        "sql/calls/dial.sql",
        (
            (
                "where call_log.id = any(:call_ids::bigint[]) and status = 'claimed'",
                "where call_log.id = any(:call_ids)",
            ),
            ("where call_log.id = call.id and status = 'claimed'", "where call_log.id = call.id"),
        ),
        "tests/calls/test_dial.py::test_a_phone_rings_once_whatever_is_redelivered",
    ),
    Guard(
        "errors beside an accepted call are none in a row",
        "outbound/calls/dial.py",
        (("in_a_row=0 if is_well else len(troubles)", "in_a_row=len(troubles)"),),
        "tests/calls/test_breaker.py::test_errors_that_have_an_accepted_call_beside_them_are_none_in_a_row",
    ),
    Guard(
        "refusals beside an accepted call of their scope pause nothing",
        "outbound/calls/dial.py",
        (("if at_fault is not None and (at_fault, _scopes(call)[at_fault]) in well:", "if False:"),),
        "tests/calls/test_breaker.py::"
        "test_refusals_that_have_an_accepted_call_of_their_campaign_beside_them_pause_nothing",
    ),
    Guard(
        "the fence of a put-back",
        "sql/calls/dial.sql",
        (("and fence = :fence and call_sid is null", "and :fence = :fence and call_sid is null"),),
        "tests/calls/test_dial.py::test_a_stale_put_back_cannot_move_a_dial_that_somebody_else_began",
    ),
    Guard(
        "a refusal does not overrule a callback",
        "sql/calls/dial.sql",
        (("and fence = :fence and call_sid is null", "and fence = :fence"),),
        "tests/calls/test_dial.py::test_a_refusal_that_comes_after_a_callback_adopted_the_call_changes_nothing",
    ),
    Guard(
        "the from-state of a claim",
        "sql/calls/dispatch.sql",
        (
            (
                "call_log.id = decided.id and status = 'queued' and paused_at is null and due_at <= now()",
                "call_log.id = decided.id",
            ),
            ("where call_log.id = locked.id and status = 'queued'", "where call_log.id = locked.id"),
        ),
        "tests/calls/test_races.py::test_two_dispatchers_never_take_the_same_call",
    ),
    Guard(
        "a claim does not wait for a row that somebody holds",
        "sql/calls/dispatch.sql",
        (("for update skip locked", "for update"),),
        "tests/calls/test_dispatch.py::test_a_row_that_somebody_holds_does_not_stop_the_claim",
    ),
    Guard(
        "no worker, no claim",
        "sql/migrations/0068_parts_of_the_claim.sql",
        (("where seen_at > now() - make_interval(secs => worker_silent_s)", "where worker_silent_s > 0"),),
        "tests/calls/test_dispatch.py::test_nothing_is_claimed_while_no_worker_is_alive",
    ),
    Guard(
        "few claims are outstanding",
        "sql/migrations/0068_parts_of_the_claim.sql",
        (("- (select count(*) from call_log where status = 'claimed')", ""),),
        "tests/calls/test_dispatch.py::test_no_more_is_claimed_than_the_living_threads_can_soon_dial",
    ),
    Guard(
        "one dispatcher claims at a time",
        "outbound/calls/dispatch.py",
        (("if not sql.take_turn(connection):", "if sql.take_turn is None:"),),
        "tests/calls/test_races.py::test_nothing_is_claimed_while_another_dispatcher_has_its_turn",
    ),
    Guard(
        "a report of another number adopts no call",
        "sql/migrations/0045_parts_of_statements.sql",
        (
            (
                "phone_key(coalesce(may_report.to_number, call.to_number))",
                "phone_key(coalesce(call.to_number, may_report.to_number))",
            ),
        ),
        "tests/calls/test_events.py::test_a_report_that_names_another_number_adopts_no_call",
    ),
    Guard(
        "businesses take turns",
        "sql/migrations/0068_parts_of_the_claim.sql",
        (("order by business_tag, luck", "order by id"),),
        "tests/calls/test_dispatch.py::test_businesses_take_turns_whoever_has_more",
    ),
    Guard(
        "nobody is called before it is due",
        "sql/calls/dispatch.sql",
        (("and due_at <= now()", ""),),
        "tests/calls/test_dispatch.py::test_a_call_is_not_claimed_before_it_is_due",
        "sql/migrations/0045_parts_of_statements.sql",
    ),
    Guard(
        "one live call per business and number",
        "sql/migrations/0021_phone_key.sql",
        (
            (
                "create unique index concurrently if not exists call_log_one_live_keyed",
                "create index concurrently if not exists call_log_one_live_keyed",
            ),
        ),
        "tests/calls/test_enqueue.py",
    ),
    Guard(
        "a call that was moved to another time is not claimed at the time before",
        "sql/calls/dispatch.sql",
        (
            (
                "call_log.id = decided.id and status = 'queued' and paused_at is null and due_at <= now()",
                "call_log.id = decided.id and status = 'queued' and paused_at is null",
            ),
        ),
        "tests/calls/test_call_again.py"
        "::test_a_claim_that_had_looked_at_a_call_before_it_was_moved_leaves_it_until_it_is_due",
    ),
    Guard(
        "only a call that waits is moved to another time",
        "sql/migrations/0076_ended_campaigns.sql",
        (
            ("elsif call.status <> 'queued' then", "elsif false then"),
            ("where id = call.id and status = 'queued';", "where id = call.id;"),
        ),
        "tests/calls/test_call_again.py::test_a_call_that_does_not_wait_is_not_moved",
    ),
    Guard(
        "a call that is live is not made again",
        "sql/calls/call_again.sql",
        (("call_status_rank(status) < 5 as is_live", "false as is_live"),),
        "tests/calls/test_call_again.py::test_a_call_that_is_live_is_not_made_again",
    ),
    Guard(
        "a call that may still be ringing is not made again",
        "sql/calls/call_again.sql",
        (("call_is_in_doubt(status, error_code) and overdue_at is not null as is_in_doubt", "false as is_in_doubt"),),
        "tests/calls/test_call_again.py::test_a_call_that_may_still_be_ringing_is_not_made_again_until_the_carrier_was_asked",
    ),
    Guard(
        "a call that was made again twice is one call",
        "outbound/calls/call_again.py",
        (("            own_key=key,\n", ""),),
        "tests/calls/test_call_again.py::test_a_retry_is_a_new_call_and_pressed_twice_it_is_one",
    ),
    Guard(
        "one call per key",
        "sql/migrations/0005_call_log_queue.sql",
        (
            (
                "create unique index concurrently if not exists call_log_idempotency_key",
                "create index concurrently if not exists call_log_idempotency_key",
            ),
        ),
        "tests/calls/test_enqueue.py",
    ),
    Guard(
        "a call_sid belongs to one row",
        "sql/migrations/0005_call_log_queue.sql",
        (
            (
                "create unique index concurrently if not exists call_log_call_sid",
                "create index concurrently if not exists call_log_call_sid",
            ),
        ),
        "tests/calls/test_events.py",
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
        "tests/database/test_migrations.py",
    ),
    Guard(
        "no live row without a deadline",
        "sql/migrations/0005_call_log_queue.sql",
        (("or overdue_at is not null", "or true"),),
        "tests/database/test_migrations.py",
    ),
    Guard(
        "a status only moves forward",
        "sql/migrations/0069_parts_of_a_report.sql",
        (("if call_status_rank(reported) > call_status_rank(call.status) then", "if true then"),),
        "tests/calls/test_events.py",
    ),
    Guard(
        "a report of another call changes nothing",
        "sql/migrations/0045_parts_of_statements.sql",
        (("or coalesce(call.call_sid, may_report.call_sid) = may_report.call_sid", "or true"),),
        "tests/calls/test_events.py",
    ),
    Guard(
        "a late truth does not take a number that another live call holds",
        "sql/migrations/0069_parts_of_a_report.sql",
        (("where other.id <> call.id)", "where false)"),),
        "tests/calls/test_events.py",
    ),
    Guard(
        "the same event is kept once",
        "sql/migrations/0006_call_event.sql",
        (("create unique index if not exists call_event_once", "create index if not exists call_event_once"),),
        "tests/calls/test_events.py",
    ),
    Guard(
        "an overdue claim, not a fresh one, is taken back",
        "sql/calls/cleanup.sql",
        (("where status = 'claimed' and overdue_at < now()", "where status = 'claimed'"),),
        "tests/calls/test_cleanup.py::test_an_overdue_claim_goes_back_to_the_queue_and_a_fresh_one_stays",
    ),
    Guard(
        "clean-up closes no call that has a call_sid",
        "sql/calls/cleanup.sql",
        (
            (
                "       and call_sid is null\n       and overdue_at < now() - make",
                "       and overdue_at < now() - make",
            ),
            ("overdue.id and call_sid is null and status in", "overdue.id and status in"),
        ),
        "tests/calls/test_cleanup.py::test_a_call_that_has_a_call_sid_is_never_closed_by_clean_up",
    ),
    Guard(
        "clean-up waits until the carrier was asked",
        "sql/calls/cleanup.sql",
        (("and overdue_at < now() - make_interval(secs => :grace_s)", "and overdue_at < now() and :grace_s > 0"),),
        "tests/calls/test_cleanup.py::test_a_call_without_a_call_sid_is_left_alone_until_the_carrier_was_asked",
    ),
    Guard(
        "each rule is a transaction of its own",
        "outbound/calls/cleanup.py",
        (("    except Exception:\n        log.exception", "    except ZeroDivisionError:\n        log.exception"),),
        "tests/calls/test_cleanup.py::test_a_rule_that_fails_stops_no_other_rule",
    ),
    Guard(
        "what an ended campaign leaves is canceled, and nothing of another",
        "sql/calls/cleanup.sql",
        (
            (
                "     where campaign.ends_at <= now()\n       and not",
                "     where campaign.ends_at is not null\n       and not",
            ),
        ),
        "tests/calls/test_cleanup.py::test_what_an_ended_campaign_leaves_in_the_queue_is_canceled_whatever_it_waits_for",
    ),
    Guard(
        "a restored database cancels nothing before it was compared",
        "sql/calls/cleanup.sql",
        (("       and not exists (select from dialing_stop where cause = 'recovery')", "       and true"),),
        "tests/calls/test_cleanup.py::test_what_an_ended_campaign_leaves_stays_while_a_restored_database_is_compared",
    ),
    Guard(
        "absence is believed at the second look",
        "outbound/config.py",
        (("LOOKS_MIN = 2", "LOOKS_MIN = 1"),),
        "tests/calls/test_reconcile.py::test_absence_is_believed_only_at_the_second_look",
    ),
    Guard(
        "two hosts do not ask at once",
        "sql/calls/reconcile.sql",
        (("and (looked_at is null or looked_at < now() - make_interval(secs => :relook_s))", "and :relook_s > 0"),),
        "tests/calls/test_reconcile.py::test_two_hosts_ask_about_a_call_once",
    ),
    Guard(
        "a call that another row has is no candidate",
        "sql/calls/reconcile.sql",
        (("where not exists (select from call_log where call_log.call_sid = candidate.call_sid)", ""),),
        "tests/calls/test_reconcile.py::test_a_call_at_the_carrier_that_another_row_has_is_no_candidate",
    ),
    Guard(
        "a stranger's call to another number is no candidate",
        "outbound/carrier/twilio.py",
        (
            ("and call.to_number == order.to_number", ""),
            ("if to_number in (None, call.to_number)", "if True"),
        ),
        "tests/carrier/test_carrier.py::test_a_stranger_s_call_to_another_number_is_not_found",
    ),
    Guard(
        "a fetched call is the one that was asked for",
        "outbound/carrier/twilio.py",
        (
            ("if call.call_sid != call_sid or", "if False and"),
            ("if order is not None and not _may_be(call, order):", "if False:"),
        ),
        "tests/carrier/test_carrier.py::test_an_answer_about_another_call_is_not_believed",
    ),
    Guard(
        "a 404 of somebody in between closes no call",
        "outbound/carrier/twilio.py",
        (("if error.status == 404 and error.has_body:", "if error.status == 404:"),),
        "tests/carrier/test_carrier.py::test_a_404_that_is_not_the_carrier_s_says_nothing_of_a_call",
    ),
    Guard(
        "another host does not confirm the same calls",
        "sql/calls/confirm.sql",
        (("set looked_at = now()\n      from chosen", "set looked_at = looked_at\n      from chosen"),),
        "tests/calls/test_confirm.py::test_two_hosts_confirm_a_call_once",
    ),
    Guard(
        "pages and questions stay within the limit of a minute",
        "outbound/calls/confirm.py",
        (("return self._per_minute - len(spent)", "return self._per_minute"),),
        "tests/calls/test_confirm.py::test_no_minute_has_more_requests_than_the_limit",
    ),
    Guard(
        "a batch reaches a telephone once, whatever else is changed",
        "sql/migrations/0039_batch.sql",
        (
            (
                "create unique index concurrently if not exists call_log_batch_once",
                "create index concurrently if not exists call_log_batch_once",
            ),
        ),
        "tests/calls/test_import_twice.py::test_the_corrected_file_rings_only_who_was_refused",
    ),
    Guard(
        "a batch remembers whom it has reached when their call is deleted",
        "sql/migrations/0047_enqueue_functions.sql",
        (("when has_reached and exists (", "when false and exists ("),),
        "tests/calls/test_import_twice.py::test_who_was_reached_by_a_call_that_is_deleted_by_now_is_not_rung_again",
    ),
    Guard(
        "an import holds out who was called lately",
        "sql/migrations/0045_parts_of_statements.sql",
        (("and dialed_at > $3", "and false"),),
        "tests/calls/test_import_twice.py::test_who_was_called_lately_by_anything_of_the_business_is_held_out_and_listed",
    ),
    Guard(
        "a file that is wrong as a whole queues nothing",
        "outbound/calls/import_calls.py",
        (("if place == 0:", "if place == -1:"),),
        "tests/calls/test_import_twice.py::test_a_file_that_is_wrong_as_a_whole_stops_before_anything_is_queued",
    ),
    Guard(
        "of a number in two chunks the first line is called",
        "outbound/calls/import_writer.py",
        (("self.telephones.isdisjoint(other.telephones)", "True"),),
        "tests/calls/test_import_twice.py"
        "::test_of_a_number_in_two_chunks_the_first_line_is_called_also_where_the_first_chunk_waits",
    ),
    Guard(
        "of a key in two chunks the first line has it",
        "outbound/calls/import_writer.py",
        (("self.keys.isdisjoint(other.keys)", "True"),),
        "tests/calls/test_import_twice.py"
        "::test_of_a_key_in_two_chunks_the_first_line_has_it_also_where_the_first_chunk_waits",
    ),
    Guard(
        "a business does not call itself",
        "sql/migrations/0047_enqueue_functions.sql",
        (("when own_key is not null or phone_key(caller) = phone_key(to_number) then 'own_number'", ""),),
        "tests/database/test_phone_key.py::test_a_business_does_not_call_itself",
    ),
    Guard(
        "one telephone has one live call, in whichever form",
        "sql/migrations/0021_phone_key.sql",
        (("on call_log (business_id, phone_key(to_number))\n where", "on call_log (business_id, to_number)\n where"),),
        "tests/database/test_phone_key.py",
    ),
    Guard(
        "a do-not-call entry holds for the telephone, in whichever form",
        "sql/migrations/0034_person.sql",
        (
            (
                "where phone_key(suppression.phone) = phone_key(is_suppressed.phone)",
                "where suppression.phone = is_suppressed.phone",
            ),
        ),
        "tests/database/test_phone_key.py",
    ),
    Guard(
        "one lead per caller",
        "sql/migrations/0021_phone_key.sql",
        (
            (
                "create unique index concurrently if not exists leads_one_per_phone_keyed",
                "create index concurrently if not exists leads_one_per_phone_keyed",
            ),
        ),
        "tests/calls/test_lead.py",
    ),
    Guard(
        "a link to a lead never changes",
        "sql/calls/lead.sql",
        (("coalesce(call_log.lead_id, lead.id)", "lead.id"),),
        "tests/calls/test_lead.py::test_the_link_of_a_call_to_its_lead_never_changes",
    ),
    Guard(
        "a lead message without a call_sid is set aside",
        "outbound/calls/lead.py",
        (("if not isinstance(call_sid, str) or not call_sid:", "if call_sid is ...:"),),
        "tests/calls/test_lead.py",
    ),
    Guard(
        "a 5xx is an unknown outcome",
        "outbound/carrier/twilio.py",
        (
            ("(CallUnsure if sending.has_begun else CallNotSent)", "CallNotSent"),
            ("return CallUnsure", "return CallNotSent"),
        ),
        "tests/calls/test_dial.py::test_a_dial_of_unknown_outcome_is_never_put_back_in_the_queue",
    ),
    Guard(
        "callbacks are signed",
        "outbound/web/callbacks.py",
        (("if not twilio_webhooks.is_genuine(", "if False and not twilio_webhooks.is_genuine("),),
        "tests/web/test_web.py",
    ),
    Guard(
        "callbacks are of accounts that are ours",
        "outbound/web/callbacks.py",
        (("if not is_ours:", "if False:"),),
        "tests/carrier/test_accounts.py::test_a_call_that_came_in_is_of_the_account_of_its_number",
    ),
    Guard(
        "a callback is of the account of its call",
        "sql/migrations/0045_parts_of_statements.sql",
        (
            (
                "coalesce(account_of_call(call), '') = any(may_report.signed_for)",
                "true",
            ),
        ),
        "tests/carrier/test_accounts.py::test_a_signature_of_one_account_is_believed_for_its_own_calls_alone",
    ),
    Guard(
        "a verdict of machine detection is of the account of its call",
        "sql/calls/events.sql",
        (("coalesce(account_of_call(call_log), '') = any(:signed_for::text[]) as", ":signed_for::text[] <> '{}' as"),),
        "tests/carrier/test_accounts.py::test_a_signature_of_one_account_is_believed_for_its_own_calls_alone",
    ),
    Guard(
        "a call that comes in is of the account of its number",
        "sql/calls/events.sql",
        (("and coalesce(carrier_account, '') = any(:signed_for::text[])", "and :signed_for::text[] <> '{}'"),),
        "tests/carrier/test_accounts.py::test_a_call_that_came_in_is_of_the_account_of_its_number",
    ),
    Guard(
        "a business whose account a worker lacks has no claims",
        "sql/migrations/0068_parts_of_the_claim.sql",
        (("else workers_without(lane.carrier_account, worker_silent_s) = 0", "else true"),),
        "tests/carrier/test_accounts.py::test_one_worker_without_the_credentials_is_enough_to_wait_for",
    ),
    Guard(
        "while one account is in trouble its own calls alone wait",
        "sql/migrations/0068_parts_of_the_claim.sql",
        (
            ("where not is_default or account_place <= account_room", ""),
            ("then room.account_room > 0", "then true"),
        ),
        "tests/carrier/test_accounts.py::test_the_trouble_of_one_account_holds_only_the_calls_of_that_account",
    ),
    Guard(
        "a claim whose account a worker lacks is not begun",
        "sql/calls/dial.sql",
        (("and workers_without(account.carrier_account) = 0", ""),),
        "tests/carrier/test_accounts.py::test_without_an_accounts_credentials_none_of_its_calls_is_begun_and_all_others_are",
    ),
    Guard(
        "without its credentials nothing is asked of an account",
        "outbound/carrier/twilio.py",
        (("if account == self._config.twilio_account_sid:", "if account:"),),
        "tests/carrier/test_accounts.py::test_nothing_is_sent_without_the_credentials_of_an_account",
    ),
    Guard(
        "the accounts of businesses are taken in before dialing goes on",
        "outbound/calls/recover.py",
        (("if accounts.credentials(account) is None:", "if False:"),),
        "tests/carrier/test_accounts.py::test_after_a_restore_the_calls_of_every_account_are_taken_in",
    ),
    Guard(
        "a callback's path is the one that was made for this call and number",
        "outbound/web/callbacks.py",
        (("not callback_tag.fits(tag, call_id, number)", "False"),),
        "tests/calls/test_one_call.py",
    ),
    Guard(
        "a path without a tag is of the version before",
        "sql/migrations/0045_parts_of_statements.sql",
        (("and (may_report.is_untagged is not true or takes_untagged(call.dialed_at))", ""),),
        "tests/calls/test_one_call.py",
    ),
    Guard(
        "another leg of a call is not that call",
        "outbound/web/callbacks.py",
        (('if "ParentCallSid" in form or form.get("Direction") != direction:', "if False:"),),
        "tests/calls/test_one_call.py",
    ),
    Guard(
        "a call that was never dialed is not moved by a callback",
        "sql/calls/events.sql",
        (("and call_log.status in ('queued', 'claimed') as is_never_dialed", "and false as is_never_dialed"),),
        "tests/calls/test_one_call.py",
    ),
    Guard(
        "a call that the carrier is asked about is not dialed",
        "sql/migrations/0045_parts_of_statements.sql",
        (("paused_at = coalesce(paused_at, now())", "paused_at = paused_at"),),
        "tests/calls/test_one_call.py",
    ),
    Guard(
        "one signed text has one form",
        "outbound/carrier/callback_form.py",
        (("if _is_cut_apart(sorted(pairs)):", "if False:"),),
        "tests/carrier/test_callback_form.py",
    ),
    Guard(
        "what is not body is bounded",
        "outbound/web/protocol.py",
        (("if self._not_body > HEAD_MAX:", "if False:"),),
        "tests/web/test_bounded.py",
    ),
    Guard(
        "what follows an upgrade is no request",
        "outbound/web/protocol.py",
        (("if self.parser.should_upgrade() or any(", "if False and any("),),
        "tests/web/test_bounded.py",
    ),
    Guard(
        "a callback has a bounded body",
        "outbound/web/callbacks.py",
        (("if len(body) > BODY_MAX:", "if False:"),),
        "tests/web/test_web.py",
    ),
    Guard(
        "no phone rings unless Twilio is configured",
        "outbound/settings_model.py",
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
        "outbound/settings_model.py",
        (("if settings.web_host not in LOOPBACK and settings.metrics_token is None:", "if False:"),),
        "tests/test_config.py",
    ),
    Guard(
        "nobody calls with a neighbour's number",
        "sql/migrations/0047_enqueue_functions.sql",
        (("when business_number.business_id <> placed.business_id then", "when false then"),),
        "tests/calls/test_enqueue.py::test_a_bad_call_is_refused_with_what_to_do",
    ),
    Guard(
        "a date alone is no moment to call",
        "outbound/formats/moments.py",
        (("if not day_alone:", "if False:"),),
        "tests/formats/test_moments.py::test_what_is_no_moment_or_may_be_two_is_refused",
    ),
    Guard(
        "an empty date is no moment",
        "outbound/formats/moments.py",
        (("if day in _NULL_DATES:", "if False:"),),
        "tests/formats/test_moments.py::test_an_empty_date_as_programs_save_it_is_no_date",
    ),
    Guard(
        "a time zone without a place is refused",
        "outbound/formats/time_zones.py",
        (("if name not in _NO_PLACES and ", "if "),),
        "tests/formats/test_time_zones.py::test_what_is_no_place_is_refused_with_the_zone_to_use",
    ),
    Guard(
        "a do-not-call list takes every number of a row",
        "outbound/rules/suppression.py",
        (("Numbers.EVERY", "Numbers.FIRST"),),
        "tests/formats/test_columns.py::test_who_asked_not_to_be_called_is_not_called_on_any_number",
    ),
    Guard(
        "below another header nothing is read",
        "outbound/formats/csv_file.py",
        (("self._foreign = None if again else line", "self._foreign = None"),),
        "tests/formats/test_columns.py::test_a_header_that_comes_again_is_refused_and_below_another_nothing_is_read",
    ),
    Guard(
        "a call is never taken for a title",
        "outbound/formats/csv_header.py",
        (("if any(map(is_number, cells)):", "if False:"),),
        "tests/formats/test_columns.py::test_a_call_is_never_taken_for_a_title",
    ),
    Guard(
        "a worker refuses an old schema",
        "outbound/processes/worker.py",
        (("migrations.require()", "pass"),),
        "tests/processes/test_worker.py::test_a_worker_refuses_a_schema_older_than_it_needs",
    ),
    Guard(
        "a worker process dies with its master from the first moment on",
        "outbound/processes/worker.py",
        (("        _die_with_master()\n        logs.set_up()", "        logs.set_up()"),),
        "tests/processes/test_worker.py::test_a_worker_that_is_killed_while_the_database_is_silent_leaves_nothing_running",
    ),
    Guard(
        "tasks go on when the host's clock is set back",
        "outbound/processes/scheduler.py",
        (("task.modify(next_run_time=datetime.now(UTC))", "pass"),),
        "tests/processes/test_scheduler.py::test_every_task_goes_on_whatever_the_hosts_clock_is_set_to",
    ),
    Guard(
        "a request that was never sent leaves its call in the queue",
        "outbound/carrier/twilio.py",
        (("(CallUnsure if sending.has_begun else CallNotSent)", "CallUnsure"),),
        "tests/carrier/test_carrier.py::test_nothing_is_sent_where_the_request_cannot_be_made",
    ),
    Guard(
        "tables that outbound did not make are not migrated",
        "outbound/database/migrations.py",
        (("            refuse_foreign(connection)  # before yoyo", "            pass  # before yoyo"),),
        "tests/database/test_foreign_tables.py",
    ),
    Guard(
        "nor by yoyo",
        "sql/migrations/0001_business_call_log_leads.sql",
        (("if theirs <> '{}' then", "if false then"),),
        "tests/database/test_foreign_tables.py",
    ),
    Guard(
        "a call_log of somebody else is no home of ours",
        "sql/db.sql",
        (
            (
                "('updated_at', 'timestamp with time zone', ''))) = 9",
                "('updated_at', 'timestamp with time zone', ''))) >= 0",
            ),
        ),
        "tests/database/test_foreign_tables.py::test_yoyo_s_own_tables_beside_the_old_ones_are_no_home_of_ours",
    ),
    Guard(
        "a rollback by hand takes no table that has rows",
        "sql/migrations/0027_adoption.rollback.sql",
        (("is distinct from 'on'", "is not null"),),
        "tests/database/test_rollback.py::test_step_by_step_yoyo_refuses_each_rollback_that_would_drop_what_is_there",
    ),
    Guard(
        "the first three tables are never dropped with rows",
        "sql/migrations/0001_business_call_log_leads.rollback.sql",
        (("if losses <> '{}' then", "if false then"),),
        "tests/database/test_rollback.py::test_who_was_asked_loses_what_was_said_and_nothing_of_the_first_three_tables",
    ),
    Guard(
        "a rollback leaves tables alone that outbound did not make",
        "sql/migrations/0003_business_voice_and_numbers.rollback.sql",
        (("if theirs is not null then", "if false then"),),
        "tests/database/test_foreign_tables.py::test_a_system_where_an_earlier_try_left_its_marks_is_left_alone_too",
    ),
    Guard(
        "rows are moved to the queue's schema once",
        "sql/migrations/0005_call_log_queue.sql",
        (
            (
                "conname = 'call_log_dialable' and convalidated",
                "conname = 'call_log_dialable' and convalidated and false",
            ),
        ),
        "tests/database/test_migrations.py::test_a_migration_that_is_applied_again_leaves_what_waits_since",
    ),
    Guard(
        "one migration at a time",
        "sql/database/migrations.sql",
        (
            (
                "select pg_try_advisory_lock(hashtext('outbound.migrate'), hashtext(coalesce(current_schema(), '')))",
                "select true",
            ),
        ),
        "tests/database/test_migrations.py",
    ),
    Guard(
        "a forked process opens its own connections",
        "outbound/db.py",
        (("os.getpid()", "0"),),
        "tests/database/test_db.py::test_a_forked_process_never_speaks_through_its_parents_sockets",
    ),
    Guard(
        "no number in a log line",
        "outbound/redaction.py",
        (("if not _SUSPECT.search(named):", "if named:"),),
        "tests/cli/test_logs.py::test_whatever_looks_like_a_phone_number_is_masked",
    ),
    Guard(
        "a from-number has no more live calls than it may",
        "sql/migrations/0068_parts_of_the_claim.sql",
        (("where number_place <= number_room", "where true"),),
        "tests/rules/test_limits.py::test_no_more_calls_are_live_at_once_than_the_cap_allows[number]",
    ),
    Guard(
        "a campaign has no more live calls than it may",
        "sql/migrations/0068_parts_of_the_claim.sql",
        (("where campaign_place <= campaign_room", "where true"),),
        "tests/rules/test_limits.py::test_no_more_calls_are_live_at_once_than_the_cap_allows[campaign]",
    ),
    Guard(
        "a business has no more live calls than it may",
        "sql/migrations/0068_parts_of_the_claim.sql",
        (("where business_place <= business_room", "where true"),),
        "tests/rules/test_limits.py::test_no_more_calls_are_live_at_once_than_the_cap_allows[business]",
    ),
    Guard(
        "a call costs its scopes a token",
        "sql/calls/dispatch.sql",
        (("coalesce(tokens - calls, 0)", "coalesce(tokens, 0)"),),
        "tests/rules/test_limits.py::test_tokens_are_spent_in_the_claim_and_come_back_with_time",
    ),
    Guard(
        "what stands in a call's way is looked for",
        "sql/migrations/0068_parts_of_the_claim.sql",
        (("        as obstacle on true\n", "        as obstacle on false\n"),),
        "tests/rules/test_suppression.py::test_a_suppressed_call_says_so_is_counted_and_is_never_nudged",
    ),
    Guard(
        "a call that something stands in the way of is not claimed",
        "sql/calls/dispatch.sql",
        (("code is null", "true"),),
        "tests/rules/test_calling_window.py::test_a_call_outside_its_hours_waits_for_them_and_is_dialed_then",
    ),
    Guard(
        "a window stays open until the phone has stopped ringing",
        "sql/migrations/0068_parts_of_the_claim.sql",
        (("now(), claim_s + ring_s)", "now(), claim_s)"),),
        "tests/rules/test_calling_window.py::test_a_call_that_would_ring_past_closing_time_is_not_begun",
    ),
    Guard(
        "a number that was suppressed since the claim is not dialed",
        "sql/calls/dial.sql",
        (("and not is_suppressed(to_number, business_id, campaign_id)", ""),),
        "tests/rules/test_suppression.py::test_a_call_that_was_claimed_when_a_file_named_its_number_rings_no_phone",
    ),
    Guard(
        "who was forgotten is neither claimed nor dialed",
        "sql/migrations/0034_person.sql",
        ((") or is_forgotten(is_suppressed.phone);", ");"),),
        "tests/calls/test_person.py::test_the_claim_and_the_dial_refuse_whoever_is_on_the_list",
    ),
    Guard(
        "no row with the number of who was forgotten is written",
        "sql/migrations/0034_person.sql",
        (("        return null;\n", "        return new;\n"),),
        "tests/calls/test_person.py::test_rows_by_hand_bring_nobody_back",
    ),
    Guard(
        "nobody whose call is live is forgotten",
        "outbound/calls/person.py",
        (("        _refuse_live(sql.lock_calls(connection, **search))\n", ""),),
        "tests/calls/test_person.py::test_somebody_whose_call_is_live_is_not_forgotten_yet",
    ),
    Guard(
        "what was being written while somebody was forgotten goes too",
        "outbound/calls/person.py",
        (("    _sweep_late(transaction, phone, actor, receipt)\n", ""),),
        "tests/calls/test_person.py::test_a_call_that_was_being_written_meanwhile_goes_too",
    ),
    Guard(
        "an entry of the audit that was changed is found",
        "sql/rules/audit.sql",
        (("and link.content <> audit_content(entry.who, entry.key, entry.details)", "and false"),),
        "tests/rules/test_audit.py::test_the_first_entry_that_was_touched_is_named",
    ),
    Guard(
        "details of the audit that nobody may have blanked are found",
        "sql/rules/audit.sql",
        (("and (entry.source, entry.id) not in (select source, id from erased)", "and false"),),
        "tests/rules/test_audit.py::test_the_first_entry_that_was_touched_is_named",
    ),
    Guard(
        "nothing is begun while the carrier is in trouble",
        "sql/calls/dial.sql",
        (("or carrier_hold_until > now() and (scope", "or false and (scope"),),
        "tests/calls/test_breaker.py::test_a_call_that_was_claimed_before_a_hold_is_not_begun_during_it",
    ),
    Guard(
        "whom an operator hung up on is not tried again",
        "sql/migrations/0045_parts_of_statements.sql",
        (("and $1.hang_up is null", "and true"),),
        "tests/rules/test_retry_policy.py::test_whom_an_operator_hung_up_on_is_not_tried_again",
    ),
    Guard(
        "a campaign that has ended tries nobody again",
        "sql/migrations/0045_parts_of_statements.sql",
        (("and coalesce(campaign.ends_at > now(), true)", "and true"),),
        "tests/rules/test_retry_policy.py::test_a_paused_campaign_keeps_its_next_attempt_and_an_ended_one_has_none",
    ),
    Guard(
        "each kind of end has its own place in the retry policy",
        "sql/migrations/0045_parts_of_statements.sql",
        (("and earlier.status = $1.status)", "and true)"),),
        "tests/rules/test_retry_policy.py::test_the_n_th_end_of_its_kind_takes_the_n_th_wait_and_then_nobody_is_tried_again",
    ),
    Guard(
        "consent that was revoked is none",
        "sql/migrations/0021_phone_key.sql",
        (("and consent.revoked_at is null", "and true"),),
        "tests/rules/test_suppression.py::test_a_revocation_reaches_a_call_that_waits_already",
    ),
    Guard(
        "consent that has expired is none",
        "sql/migrations/0021_phone_key.sql",
        (("and (consent.expires_at is null or consent.expires_at > now())", "and true"),),
        "tests/rules/test_suppression.py::test_a_campaign_that_demands_consent_calls_only_who_has_given_it",
    ),
    Guard(
        "a business's do-not-call entry is its own",
        "sql/migrations/0034_person.sql",
        (("coalesce(suppression.business_id, is_suppressed.business_id) = is_suppressed.business_id", "true"),),
        "tests/rules/test_suppression.py::test_an_entry_holds_for_its_own_scope_and_for_nobody_else",
    ),
    Guard(
        "a campaign's do-not-call entry is its own",
        "sql/migrations/0034_person.sql",
        (("(suppression.campaign_id is null or suppression.campaign_id = is_suppressed.campaign_id)", "true"),),
        "tests/rules/test_suppression.py::test_an_entry_holds_for_its_own_scope_and_for_nobody_else",
    ),
    Guard(
        "a window stays open for as long as it is asked to",
        "sql/migrations/0009_calling_window.sql",
        (
            (" where upper(shift) > lower(shift) + make_interval(secs => for_s)\n", "\n"),
            ("tsrange(clock.begins, clock.ends, '[]')", "tsrange(clock.begins, clock.begins, '[]')"),
        ),
        "tests/rules/test_calling_window.py::test_a_window_that_would_close_during_the_ring_is_closed",
    ),
    Guard(
        "hours follow a change of clocks",
        "sql/migrations/0009_calling_window.sql",
        (("(after, least(change, after + interval '360 hours'))", "(after, after + interval '360 hours')"),),
        "tests/rules/test_calling_window.py::test_on_the_night_when_clocks_change_the_hours_are_what_the_clocks_show",
    ),
    Guard(
        "no quick answer while clocks are changed",
        "sql/migrations/0009_calling_window.sql",
        (
            (
                "bool_and(clock.ends - clock.begins = make_interval(secs => for_s)\n                    and ",
                "bool_and(",
            ),
        ),
        "tests/rules/test_calling_window.py::test_on_the_night_when_clocks_change_the_hours_are_what_the_clocks_show",
    ),
    Guard(
        "a window without hours is closed",
        "sql/migrations/0009_calling_window.sql",
        (("filter (where shift is not null) as open", "as open"),),
        "tests/rules/test_calling_window.py::test_after_the_last_day_that_is_known_a_window_is_closed",
    ),
    Guard(
        "a window is closed after its last known day",
        "sql/migrations/0009_calling_window.sql",
        (("least(last_day, known_until)", "last_day"),),
        "tests/rules/test_calling_window.py::test_after_the_last_day_that_is_known_a_window_is_closed",
    ),
    Guard(
        "who may be in several zones is called when it is open in all of them",
        "sql/migrations/0009_calling_window.sql",
        (("range_intersect_agg(coalesce(open, '{}'))", "range_agg(coalesce(open, '{}'))"),),
        "tests/rules/test_calling_window.py::test_where_a_number_may_be_in_several_zones_it_is_called_when_all_are_open",
    ),
    Guard(
        "a refresh opens no day that an operator closed",
        "sql/rules/calling_window.sql",
        (
            (
                "on conflict (window_id, day) do nothing",
                "on conflict (window_id, day) do update set hours = excluded.hours",
            ),
        ),
        "tests/rules/test_calling_window.py"
        "::test_a_refresh_adds_the_years_that_are_missing_and_opens_nothing_that_an_operator_closed",
    ),
    Guard(
        "a pause waits for the claim that is being made",
        "outbound/rules/control.py",
        (("    sql.take_dispatch_lock(connection)\n    was = ", "    was = "),),
        "tests/rules/test_control.py::test_a_claim_that_began_before_the_pause_does_not_outlive_it",
    ),
    Guard(
        "a call that our own clock calls recent is kept",
        "sql/calls/retention.sql",
        (("and greatest(call_log.created_at, call_log.dialed_at) < past.moment", ""),),
        "tests/calls/test_retention.py::test_what_the_carrier_calls_old_and_our_clock_does_not_is_kept",
    ),
    Guard(
        "a call that somebody has still to look at is kept",
        "sql/calls/retention.sql",
        (("and call_log.overdue_at is null", ""),),
        "tests/calls/test_retention.py::test_a_call_whose_lead_is_not_made_or_whose_end_is_in_doubt_is_kept",
    ),
    Guard(
        "attempts are kept as long as their retry policy needs them",
        "sql/calls/retention.sql",
        (("where (kin.id = call_log.retry_of or", "where false and (kin.id = call_log.retry_of or"),),
        "tests/calls/test_retention.py::test_a_retry_policy_of_which_an_attempt_is_recent_or_waits_keeps_all_of_them",
    ),
    Guard(
        "a first attempt goes last",
        "sql/calls/retention.sql",
        (("and not exists (select from call_log as attempt where attempt.retry_of = call_log.id)", ""),),
        "tests/calls/test_retention.py::test_a_retry_policy_goes_as_a_whole_its_first_attempt_last",
    ),
    Guard(
        "retention waits for nobody",
        "sql/calls/retention.sql",
        (("for update of call_log skip locked", "for update of call_log"),),
        "tests/calls/test_retention.py::test_a_row_that_somebody_holds_is_left_for_the_next_round",
    ),
    Guard(
        "a contact's field chooses no number and no address",
        "outbound/formats/twiml_template.py",
        (("if len(_FIELD.findall(twiml)) !=", "if 0 >"),),
        "tests/rules/test_campaign.py::test_a_field_may_stand_only_in_what_is_said",
    ),
    Guard(
        "the account has no more live calls than it may",
        "sql/migrations/0068_parts_of_the_claim.sql",
        # Each of the two keeps the cap where all calls are of TWILIO_ACCOUNT_SID.
        (
            ("         where not is_default or account_place <= account_room\n", ""),
            ("      limit (select max(free) from judged))", "    )"),
        ),
        "tests/rules/test_limits.py::test_the_cap_of_the_account_holds_over_all_businesses_and_numbers",
    ),
    Guard(
        "no more is claimed than the workers have room for",
        "sql/migrations/0068_parts_of_the_claim.sql",
        (("      limit (select max(free) from judged))", "    )"),),
        "tests/rules/test_limits.py::test_the_room_of_the_workers_holds_over_all_businesses_and_numbers",
    ),
    Guard(
        "a call that may not be dialed takes up no room",
        "sql/migrations/0068_parts_of_the_claim.sql",
        (("                 where code is null) as in_campaign", "                 ) as in_campaign"),),
        "tests/rules/test_limits.py::test_who_may_not_be_dialed_takes_up_no_room",
    ),
    Guard(
        "a call that an operator paused is not claimed",
        "sql/calls/dispatch.sql",
        (("and paused_at is null", ""),),
        "tests/calls/test_dispatch.py::test_a_call_that_is_paused_is_not_claimed_with_the_others_of_its_lane",
        "sql/migrations/0045_parts_of_statements.sql",
    ),
    Guard(
        "a claim of a scope that was paused since is not dialed",
        "sql/calls/dial.sql",
        (("(state <> 'running'\n", "(false\n"),),
        "tests/calls/test_dial.py::test_a_claim_of_a_scope_that_is_paused_rings_nobody",
    ),
    Guard(
        "a paced claim is dialed in its moment or not at all",
        "sql/calls/dial.sql",
        (("coalesce(dial_by, overdue_at) >= now()", "true"),),
        "tests/calls/test_dial.py::test_a_claim_whose_moment_has_passed_rings_nobody_and_waits_for_its_next_turn",
    ),
    Guard(
        "a paced call is not sent after its moment",
        "outbound/carrier/twilio_http.py",
        (("            asked.check()\n", "            pass\n"), ("        context.trace_request_ctx.check()\n", "")),
        "tests/carrier/test_carrier.py::test_a_paced_call_is_not_sent_after_its_moment",
    ),
    Guard(
        "a paced call whose connection took long is not sent after its moment",
        "outbound/carrier/twilio_http.py",
        (("        context.trace_request_ctx.check()\n", ""),),
        "tests/carrier/test_carrier.py::"
        "test_a_paced_call_whose_connection_took_longer_than_others_is_not_sent_after_its_moment",
    ),
    Guard(
        "a call of unknown outcome keeps its place",
        "sql/migrations/0065_room_of_scopes.sql",
        (("and over_by > now()", "and over_by > now() and false"),),
        "tests/rules/test_limits.py::"
        "test_a_call_that_was_closed_without_knowing_its_outcome_keeps_its_place_until_it_is_known",
    ),
    Guard(
        "after a hold one call at a time is tried",
        "sql/migrations/0065_room_of_scopes.sql",
        (("least(calm.room, 1 - being_tried.calls)", "calm.room"),),
        "tests/calls/test_breaker.py::test_after_a_hold_one_call_is_tried_and_the_first_that_is_taken_lets_the_others_go",
    ),
    Guard(
        "what is claimed when a hold begins is taken back",
        "sql/calls/dial.sql",
        (("     where holds\n       and case", "     where false\n       and case"),),
        "tests/calls/test_breaker.py::test_a_hold_takes_back_what_is_claimed_so_that_only_the_trial_is_dialed_after_it",
    ),
    Guard(
        "a call that ended lately is kept",
        "sql/calls/retention.sql",
        (("where call_log.ended_at < past.moment", "where true"),),
        "tests/calls/test_retention.py::test_a_call_that_waited_long_and_ended_lately_is_kept",
    ),
    Guard(
        "a call that makes the claim raise is set aside",
        "outbound/calls/dispatch.py",
        (("if not db.transact(_set_aside_odd_heads, connection):", "if line is not ...:"),),
        "tests/calls/test_poison.py::test_an_odd_row_that_cannot_even_be_closed_is_kept_out_of_every_claim",
    ),
    Guard(
        "a call that was set aside is claimed no more",
        "sql/migrations/0045_parts_of_statements.sql",
        (("and not exists (select from call_set_aside where call_id = call_log.id)", ""),),
        "tests/calls/test_poison.py::test_an_odd_row_that_cannot_even_be_closed_is_kept_out_of_every_claim",
    ),
    Guard(
        "a zone is checked when it comes in and never again",
        "sql/migrations/0020_set_aside.sql",
        (("if tg_op = 'UPDATE' and new.time_zone is not distinct from old.time_zone then", "if false then"),),
        "tests/calls/test_poison.py::test_a_zone_is_asked_for_when_it_comes_in_and_never_again",
    ),
    Guard(
        "nobody is called whose zone the server does not know",
        "sql/migrations/0076_ended_campaigns.sql",
        (
            (
                "when $1.time_zone is not null and present_zone($1.time_zone) is null then 'no_time_zone'",
                "when false then 'no_time_zone'",
            ),
        ),
        "tests/calls/test_poison.py::test_a_zone_that_nobody_knows_closes_its_call_and_says_which",
    ),
    Guard(
        "a restored claim is not dialed",
        "sql/calls/dial.sql",
        (("(select may_dial from database)\n           and ", ""),),
        "tests/calls/test_recover.py::test_a_claim_that_was_restored_is_not_dialed_even_before_a_dispatcher_looks",
    ),
    Guard(
        "a copied database dials nobody",
        "outbound/calls/dispatch.py",
        (("if not identity.stop_unless_known(connection):", "if identity.stop_unless_known is None:"),),
        "tests/calls/test_recover.py::test_a_copy_of_a_database_stops_at_the_first_look",
    ),
    Guard(
        "a database that forgot dials dials nobody",
        "outbound/database/identity.py",
        (
            (
                "if forgotten and not db.with_connection(stop_unless_known):",
                "if forgotten and stop_unless_known is None:",
            ),
        ),
        "tests/calls/test_recover.py::test_a_worker_that_knows_of_more_dials_than_the_database_dials_nobody",
    ),
    Guard(
        "a recovery that broke off begins where it began",
        "sql/calls/recover.sql",
        (("select least(noted.since, :since) from noted;", "select :since::timestamptz from noted;"),),
        "tests/calls/test_recover.py::test_a_run_that_broke_off_does_not_make_the_next_one_begin_later",
    ),
    Guard(
        "what was held in the backup may have been dialed since",
        "sql/migrations/0045_parts_of_statements.sql",
        (("case when own.held_by is null then own.due_at end", "own.due_at"),),
        "tests/calls/test_recover.py::test_a_call_that_was_held_in_the_backup_and_let_go_later_is_not_dialed_again",
    ),
    Guard(
        "a list that breaks off shows no call's absence",
        "outbound/calls/reconcile.py",
        (("    return None\n\n\ndef _those_of", "    return listed\n\n\ndef _those_of"),),
        "tests/calls/test_confirm.py::test_a_list_that_does_not_tell_of_all_is_no_absence[1-False]",
    ),
    Guard(
        "the old Redis: a pickle that wants more than plain data is not loaded",
        "outbound/adopt/old_job.py",
        (("        if name not in _PLAIN:\n", "        if name is None:\n"),),
        "tests/adopt/test_old_job.py::test_a_bomb_is_read_and_does_not_go_off",
    ),
    Guard(
        "the old Redis: a job that comes while others are set aside",
        "outbound/adopt/old_move.py",
        (("pipeline.watch(*keys)", 'pipeline.watch(b"nothing")'),),
        "tests/adopt/test_old_redis.py::test_a_job_that_comes_between_look_and_move_is_not_lost",
    ),
    Guard(
        "the old Redis: what is set aside does not expire",
        "outbound/adopt/old_queues.py",
        (("            pipeline.persist(key)\n", "            pass\n"),),
        "tests/adopt/test_old_redis.py::test_what_is_set_aside_is_out_of_reach_and_the_others_stay_in_order",
    ),
    Guard(
        "the old Redis: the jobs of others stay in their queue",
        "outbound/adopt/old_queues.py",
        (("[each for each in found if each not in taken])", "[])"),),
        "tests/adopt/test_old_redis.py::test_what_is_set_aside_is_out_of_reach_and_the_others_stay_in_order",
    ),
    Guard(
        "the old Redis: a worker whose sign of life cannot be read lives",
        "outbound/adopt/old_workers.py",
        (("return at is None or now - at < SILENT_S", "return at is not None and now - at < SILENT_S"),),
        "tests/adopt/test_old_redis.py::test_a_worker_lives_unless_its_last_sign_of_life_is_readable_and_old",
    ),
    Guard(
        "the old Redis: a job in progress is life",
        "outbound/adopt/old_workers.py",
        (("bool(self.workers or self.busy)", "bool(self.workers)"),),
        "tests/adopt/test_old_redis.py::test_jobs_in_progress_count_as_life",
    ),
    Guard(
        "a schema that was restored alone dials nobody",
        "sql/migrations/0029_identity_schema.sql",
        (("or present.schema_oid <> live_schema_oid() then 'copy'", "then 'copy'"),),
        "tests/database/test_own_schema.py::test_our_schema_alone_is_dumped_and_restored_beside_the_other_tables",
    ),
    Guard(
        "an address that leads to another schema is refused",
        "outbound/db.py",
        (("    db_session.refuse_another_schema(schema, path)\n", ""),),
        "tests/database/test_own_schema.py::test_an_address_that_names_another_schema_is_refused[public]",
    ),
    Guard(
        "nothing happens outside of our schema",
        "sql/db.sql",
        (("coalesce(quote_ident(:schema::text) || ', pg_temp', :search_path::text,", "coalesce(:search_path::text,"),),
        "tests/database/test_own_schema.py::test_migrate_makes_the_schema_says_so_and_makes_nothing_elsewhere",
    ),
    Guard(
        "dispatchers of two schemas do not keep each other waiting",
        "sql/calls/dispatch.sql",
        (("(hashtext('outbound.dispatch'), 'call_log'::regclass::int)", "(hashtext('outbound.dispatch'), 0)"),),
        "tests/database/test_own_schema.py::test_two_schemas_of_one_database_share_no_lock",
    ),
    Guard(
        "adopt: a job that an old worker took is not taken over",
        "sql/adopt/jobs.sql",
        (
            (
                "where old_job.id = any(:ids::bigint[]) and old_job.status = 'queued'\n     order by",
                "where old_job.id = any(:ids::bigint[])\n     order by",
            ),
        ),
        "tests/adopt/test_adopt.py::test_a_job_that_an_old_worker_takes_meanwhile_is_its_own",
    ),
    Guard(
        "adopt: a job whose phone may have rung here never waits there again",
        "sql/adopt/jobs.sql",
        (("and (attempt.dialed_at is not null or attempt.call_sid is not null)", "and false"),),
        "tests/adopt/test_adopt.py::test_a_job_whose_phone_may_have_rung_never_waits_again",
    ),
    Guard(
        "adopt: while a call of an old job is in the air nothing is given back",
        "outbound/adopt/undo.py",
        (("if in_the_air := jobs.sql.count_in_the_air(connection, businesses=scope):", "if in_the_air := 0:"),),
        "tests/adopt/test_adopt.py::test_a_call_that_is_in_the_air_keeps_everything_from_being_given_back",
    ),
    Guard(
        "adopt: nothing is claimed while all is given back",
        "sql/adopt/jobs.sql",
        (("(hashtext('outbound.dispatch'), 'call_log'::regclass::int)", "(hashtext('outbound.dispatch'))"),),
        "tests/adopt/test_adopt.py::test_a_claim_that_began_before_the_undo_keeps_everything_from_being_given_back",
    ),
    Guard(
        "adopt: what is taken over is not written back to the old tables",
        "sql/adopt/batches.sql",
        (("set_config('outbound.bridge', 'off', true)", "set_config('outbound.bridge', 'on', true)"),),
        "tests/adopt/test_adopt.py::test_what_was_given_back_is_as_it_was_to_the_byte",
    ),
    Guard(
        "the bridge: a business that was not taken over stays here",
        "sql/migrations/0045_parts_of_statements.sql",
        (
            (
                "where kind = 'business' and new_id = call_log.business_id and fate = 'adopted'",
                "where kind = 'business' and fate = 'adopted'",
            ),
        ),
        "tests/adopt/test_bridge.py::test_a_business_that_was_not_adopted_stays_here",
    ),
    Guard(
        "the bridge: what the old tables refuse moves no call of ours",
        "sql/migrations/0028_bridge.sql",
        (("when others or query_canceled or assert_failure then", "when sqlstate '57014' then"),),
        "tests/adopt/test_bridge.py::test_whatever_is_done_to_the_old_tables_our_calls_live",
    ),
    Guard(
        "a closed destination is not claimed",
        "sql/migrations/0076_ended_campaigns.sql",
        (("when destination.fault is not null then destination.fault", "when false then destination.fault"),),
        "tests/rules/test_destination.py::test_toll_fraud_is_refused_with_its_code_and_dialed_once_it_was_allowed",
    ),
    Guard(
        "a destination that was closed since the claim is not dialed",
        "sql/calls/dial.sql",
        (("           and (select fault is null from destination_fault(to_number, business_id))\n", ""),),
        "tests/rules/test_destination.py::test_a_destination_that_was_closed_after_the_claim_is_not_dialed",
    ),
    Guard(
        "an entry for a country opens no premium line",
        "sql/migrations/0030_destination.sql",
        (("entry.allowed and place.kind in ('ordinary', entry.kind)", "entry.allowed"),),
        "tests/rules/test_destination.py::test_special_numbers_are_opened_by_their_own_range_alone",
    ),
    Guard(
        "nobody can allow what looks like an emergency number",
        "sql/migrations/0030_destination.sql",
        (("when place.kind = 'never' then 'not_dialable'", "when false then 'not_dialable'"),),
        "tests/rules/test_destination.py::test_nobody_can_allow_what_looks_like_an_emergency_number",
    ),
    Guard(
        "a session that names no carrier may ring phones",
        "sql/migrations/0047_enqueue_functions.sql",
        (("where ended_at is null), false)", "where ended_at is null), true)"),),
        "tests/rules/test_destination.py::test_a_worker_that_does_not_say_which_carrier_it_has_dials_as_if_phones_rang",
    ),
    Guard(
        "a cap of calls and minutes",
        "sql/migrations/0065_room_of_scopes.sql",
        (("floor(filled.tokens),\n                                             spend.room", "floor(filled.tokens)"),),
        "tests/rules/test_spend.py::test_no_more_calls_begin_than_a_cap_says_and_the_rest_waits_until_the_next_period",
    ),
    Guard(
        "a call in the air counts with all its time",
        "sql/calls/dial.sql",
        (("from begun where status = 'initiated' order by id\n    on", "from begun where false order by id\n    on"),),
        "tests/rules/test_spend.py::test_a_call_counts_its_time_limit_until_it_has_ended_and_then_its_minutes",
    ),
    Guard(
        "a call of unknown outcome counts until the carrier must have ended it",
        "sql/rules/spend.sql",
        (("else not coalesce(call_awaits_truth", "else true or not coalesce(call_awaits_truth"),),
        "tests/rules/test_spend.py::test_an_unknown_outcome_keeps_its_place_until_the_carrier_must_have_ended_it",
    ),
    Guard(
        "a call that is begun again keeps its reservation",
        "sql/rules/spend.sql",
        (("then spend_reserved.dialed_at < now() - interval '1 min'", "then true"),),
        "tests/rules/test_spend.py::test_a_call_that_came_back_unsent_counts_no_more",
    ),
    Guard(
        "an event waits for the earlier ones of its call",
        "sql/webhooks/delivery.sql",
        (("and earlier.call_id = delivery.call_id\n", "and false\n"),),
        "tests/webhooks/test_delivery.py::test_the_events_of_a_call_go_out_one_after_the_other",
    ),
    Guard(
        "a worker that was taken for dead writes no outcome of a webhook",
        "sql/webhooks/delivery.sql",
        (("and delivery.attempts = told.attempts", ""),),
        "tests/webhooks/test_delivery.py::test_a_word_of_a_worker_that_was_taken_for_dead_is_not_written",
    ),
    Guard(
        "no attempt of a webhook is counted while no worker is alive",
        "sql/webhooks/delivery.sql",
        (
            (
                "and exists (select from worker where seen_at > now() - make_interval(secs => :worker_silent_s))",
                "and :worker_silent_s > 0",
            ),
        ),
        "tests/webhooks/test_delivery.py::test_while_no_worker_is_alive_no_attempt_is_counted_and_the_delay_shows",
    ),
    Guard(
        "the addresses of a name are judged at each connection",
        "outbound/webhooks/http_client.py",
        ((" and address.may_go(parsed, port, self._allowed)", ""),),
        "tests/webhooks/test_http_client.py::test_a_name_is_judged_at_each_connection_by_what_it_is_then",
    ),
    Guard(
        "a host that is an address is judged before it is connected to",
        "outbound/webhooks/address.py",
        (("return address is None or may_go(address, port, allowed)", "return True"),),
        "tests/webhooks/test_http_client.py::test_no_connection_is_made_to_an_address_inside",
    ),
    Guard(
        "no event that commits late is left out of the stream",
        "sql/webhooks/event_stream.sql",
        (("and event.xid < place.end_xid", ""),),
        "tests/webhooks/test_event_stream.py::test_what_commits_late_is_not_skipped",
    ),
    Guard(
        "a browser runs nothing but the page's own script",
        "outbound/page/render.py",
        (("\"script-src 'self'\",", '"script-src *",'),),
        "tests/page/test_strangers.py::test_every_answer_of_the_page_lets_a_browser_run_nothing_but_our_own_script",
    ),
    Guard(
        "what outsiders wrote is text on the page",
        "outbound/page/render.py",
        (("autoescape=True", "autoescape=False"),),
        "tests/page/test_outsiders.py::test_what_outsiders_wrote_is_text_on_every_screen",
    ),
    Guard(
        "what comes from outside within a sentence is text on the page",
        "outbound/page/words.py",
        (("""Markup('<code dir="ltr">{}</code>').format(text)""", """Markup(f'<code dir="ltr">{text}</code>')"""),),
        "tests/page/test_sentences.py::test_what_comes_from_outside_stays_escaped_and_isolated",
    ),
    Guard(
        "only the page's own forms are taken",
        "outbound/page/same_origin.py",
        (('return site == "same-origin"', "return True"),),
        "tests/page/test_strangers.py::test_a_form_that_another_site_sends_changes_nothing",
    ),
    Guard(
        "a form without a site and an origin is another site's",
        "outbound/page/same_origin.py",
        (('return bool(origin.netloc) and origin.netloc == request.headers.get("host")', "return not origin.netloc"),),
        "tests/page/test_strangers.py::test_a_form_that_another_site_sends_changes_nothing",
    ),
    Guard(
        "a foreign name that leads to the page is refused",
        "outbound/page/same_origin.py",
        (
            (
                "return named in LOOPBACK if own is None else named == own or named in LOOPBACK",
                "return bool(named) or own is None",
            ),
        ),
        "tests/page/test_strangers.py::test_a_foreign_name_that_leads_here_is_refused",
    ),
    Guard(
        "no script reads the cookie of a session",
        "outbound/page/session.py",
        (
            (
                'path="/", secure=True, httponly=True, samesite="strict")\n    return True',
                'path="/", secure=True, samesite="strict")\n    return True',
            ),
        ),
        "tests/page/test_strangers.py::test_a_session_is_a_cookie_that_no_script_and_no_other_host_gets",
    ),
    Guard(
        "no other site sends the cookie of a session",
        "outbound/page/session.py",
        (
            (
                'path="/", secure=True, httponly=True, samesite="strict")\n    return True',
                'path="/", secure=True, httponly=True, samesite="lax")\n    return True',
            ),
        ),
        "tests/page/test_strangers.py::test_a_session_is_a_cookie_that_no_script_and_no_other_host_gets",
    ),
    Guard(
        "everything is paused by its word alone",
        "outbound/page/screens/control.py",
        (
            (
                'is_agreed = fields.get("agreed", "") == (_WORD if is_everything else "yes")',
                'is_agreed = fields.get("agreed", "") != ""',
            ),
        ),
        "tests/page/test_control.py::test_everything_is_paused_by_the_word_and_no_other",
    ),
    Guard(
        "repeats of a request that commits in parts work once",
        "outbound/api/context.py",
        (
            (
                "if not sql.try_lock_key(connection, **self._name):",
                "if sql.try_lock_key(connection, **self._name) is None:",
            ),
        ),
        "tests/api/test_repeats.py::test_a_key_that_another_process_is_at_is_in_progress_until_that_one_ends",
    ),
    Guard(
        "a body has one end for a proxy and for us",
        "outbound/web/protocol.py",
        (('if codings and codings != [b"chunked"]:', "if False:"),),
        "tests/web/test_bounded.py::test_a_body_whose_end_may_be_seen_elsewhere_is_refused_by_its_head",
    ),
    Guard(
        "no cell is run behind a semicolon",
        "outbound/formats/spreadsheet.py",
        (("""_NEXT_CELL.sub(";'", plain_text.visible(urls.without_password(text)))""", "plain_text.visible(text)"),),
        "tests/formats/test_spreadsheet.py::test_no_cell_is_run_where_commas_semicolons_or_tabs_part_cells",
    ),
    Guard(
        "a form does no more than its token",
        "outbound/api/context.py",
        (("if scope and scope not in caller.scopes:", "if scope and not caller.scopes:"),),
        "tests/page/test_strangers.py::test_who_may_only_read_changes_nothing_by_any_form",
    ),
    Guard(
        "no file is taken from who may not import",
        "outbound/page/screens/campaign_files.py",
        (('    require(visit, "calls:write")  # before a file is taken\n', ""),),
        "tests/page/test_strangers.py::test_who_may_only_read_changes_nothing_by_any_form",
    ),
    Guard(
        "no token is printed into a log",
        "outbound/cli/processes.py",
        (
            (
                'page_token.make("up", actor="outbound up") if err.is_terminal else',
                'page_token.make("up", actor="") if err else',
            ),
        ),
        "tests/local/test_page_token.py::test_up_prints_no_token_into_a_log",
    ),
)
