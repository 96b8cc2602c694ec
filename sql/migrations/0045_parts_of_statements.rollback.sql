-- Only functions: nothing is lost.
do $functions$
begin
drop function if exists put_in_question(bigint, text, boolean);
drop function if exists report_refusal(bigint, text, boolean, text[]);
drop function if exists may_report(call_log, text, text, text, boolean, text[]);
drop function if exists read_reports(jsonb);
drop function if exists next_attempt(call_log);
drop function if exists call_after_report(call_log, text, boolean, text, timestamptz, integer, float8, float8, float8, float8);
drop function if exists next_deadline(call_log, text, boolean, text, float8, float8, float8, float8);
drop function if exists live_call(bigint, text);
end
$functions$;
