-- Blank the details of entries, which the chain allows because an entry says which they were.  Such entries are kept.
-- `pattern` is what must not stay in `who` either.  Returns how many were blanked.
create or replace function audit_erase(
    by_whom text, because text, audits bigint[], changes bigint[], pattern text default null
) returns integer
language plpgsql security definer as $$
declare
    blank constant jsonb := '{"erased": true}';
    done_audits bigint[];
    done_changes bigint[];
begin
    perform set_config('outbound.erases_audit', 'on', true);
    with done as (
        update audit
           set details = blank, key = '', who = case when who ~ pattern then 'erased' else who end
         where id = any(audits) and action <> 'erase'
        returning id
    )
    select coalesce(array_agg(id order by id), '{}') into done_audits from done;
    with done as (
        update audit_change
           set details = blank, key = '', who = case when who ~ pattern then 'erased' else who end
         where id = any(changes)
        returning id
    )
    select coalesce(array_agg(id order by id), '{}') into done_changes from done;
    perform set_config('outbound.erases_audit', '', true);
    if done_audits <> '{}' or done_changes <> '{}' then
        insert into audit (who, action, scope, key, details)
        values (by_whom, 'erase', 'account', '',
                jsonb_build_object('because', because, 'audit', done_audits, 'audit_change', done_changes));
    end if;
    return cardinality(done_audits) + cardinality(done_changes);
end
$$;
