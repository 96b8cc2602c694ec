-- One entry of what a trigger saw.
create or replace function audit_write(action text, target text, changed bigint, listed jsonb) returns void
language sql security definer
as $$
    insert into audit_change (who, action, scope, key, details)
    values (nullif(current_setting('outbound.by', true), ''), lower(action), target,
            case
                when changed = 1
                    then coalesce(listed #>> '{0,id}', listed #>> '{0,after,id}', listed #>> '{0,before,id}', '')
                else ''
            end,
            jsonb_strip_nulls(jsonb_build_object('rows', changed))
            || case when listed is null then '{}' else jsonb_build_object('changes', listed) end)
$$;
