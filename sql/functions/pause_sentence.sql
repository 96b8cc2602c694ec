-- A sentence for operators: who paused a scope, since when, why, and how to resume it.
create or replace function pause_sentence(
    called text, name text, since timestamptz, who text, reason text, zone text
) returns text
language sql stable
as $$
    select format('%s%s is paused%s%s: %s `outbound resume %s` lets it go.',
                  initcap(left($1, 1)) || substr($1, 2), ' (' || $2 || ')', ' since ' || moment_text($3, $6), ' by ' || $4,
                  case when $5 ~ '[.!?] *$' then rtrim($5) else coalesce($5, 'no reason was given') || '.' end, $1)
$$;
