-- What changed between two forms of a row, and which row it is.
create or replace function audit_difference(before jsonb, after jsonb) returns jsonb
language sql immutable parallel safe
as $$
    select jsonb_strip_nulls(jsonb_build_object('id', before -> 'id'))
           || jsonb_build_object('before', jsonb_object_agg(key, before -> key) filter (where key <> 'id'),
                                 'after', jsonb_object_agg(key, after -> key) filter (where key <> 'id'))
      from jsonb_object_keys(before || after) as key
     where before -> key is distinct from after -> key
        or key in ('scope', 'key', 'phone', 'business_id', 'campaign_id', 'window_id', 'day', 'ladder_id', 'outcome', 'step')
           and not before ? 'id'
$$;
