-- Write these calls, or their leads, to the old tables, all or none.
--
-- Returns  the SQLSTATE of what failed, and the table, column and constraint that the server named; NULL where it is done
create or replace function bridge_try(kind text, call_ids bigint[], wait text, out state text, out cause text)
language plpgsql as $$
declare
    in_table text;
    in_column text;
    by_constraint text;
begin
    if kind = 'call' then
        perform old_write_calls(call_ids, wait);
    else
        perform old_write_leads(call_ids, wait);
    end if;
exception
    -- Also the end of our own statement's time, which their triggers may use up: the call's move is not theirs to stop.
    when others or query_canceled or assert_failure then
        get stacked diagnostics in_table = table_name, in_column = column_name, by_constraint = constraint_name;
        state := sqlstate;
        cause := concat_ws(' ', nullif(in_table, ''), nullif(in_column, ''), nullif(by_constraint, ''));
end
$$;
