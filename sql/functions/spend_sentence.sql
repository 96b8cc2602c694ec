-- A cap that leaves no room, in a sentence.
create or replace function spend_sentence(called text, scope text, key text, code text, until timestamptz) returns text
language sql stable
as $$
    select format('%s may have %s %s: no more fit in before %s, unless calls in the air, which count with all their'
                  ' time, end sooner.',
                  $1,
                  case $4
                      when 'calls_per_hour' then calls_per_hour
                      when 'calls_per_day' then calls_per_day
                      when 'minutes_per_hour' then minutes_per_hour
                      when 'minutes_per_day' then minutes_per_day
                  end,
                  replace($4, '_', ' '),
                  moment_text($5, (select time_zone from business where id = scope_business($2, $3))))
      from spend_cap
     where spend_cap.scope = $2 and spend_cap.key = $3
$$;
