-- Only functions: nothing is lost.
-- squawk-ignore ban-drop-function
drop function if exists report_is_news(call_log, text);
-- squawk-ignore ban-drop-function
drop function if exists report_makes_lead_due(call_log, text, boolean);
-- squawk-ignore ban-drop-function
drop function if exists seconds_of_report(text, timestamptz, timestamptz);
-- squawk-ignore ban-drop-function
drop function if exists end_troubles(call_log[]);
