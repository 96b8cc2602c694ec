-- The actor and the reason of a pause, from its own entry in the audit and no older one.
create or replace function last_pause(scope text, key text, since timestamptz, reason text)
returns table (who text, reason text)
language sql stable
as $$
    select mover.who, coalesce(nullif($4, ''), mover.details ->> 'reason')
      from (select) as always
      left join lateral (
           select audit.who, audit.details
             from audit
            where audit.scope = $1
              and audit.key = $2
              and audit.action in ('pause', 'drain', 'stop')
              and coalesce(audit.at >= $3, true)
            order by audit.id desc
            limit 1
      ) as mover on true
$$;
