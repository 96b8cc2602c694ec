-- May this business call this number, in a sentence; NULL where it may.
create or replace function destination_sentence(phone text, business_id bigint) returns text
language sql stable
as $$
    select case
               when fault.fault is null then null
               when fault.fault = 'not_dialable' then obstacle_sentence('not_dialable')
               when not entry.allowed
                   then format('Calls to %s are not allowed to %s%s: see `outbound destination list`.', entry.place,
                               coalesce('business ' || entry.business_id, 'anybody'),
                               coalesce(' (' || nullif(entry.reason, '') || ')', ''))
               when place.kind = 'ordinary' and place.region is not null
                   then format('Calls to %s are not allowed%s: `outbound destination allow %1$s` opens them.',
                               place.region,
                               case
                                   when business_country($2, business.default_region) is null
                                       then ', and the business has no region and no number'
                                   else ''
                               end)
               else format('It is a number of %s%s: only an entry for its own range opens it,'
                           ' `outbound destination allow +...`.',
                           case place.kind
                               when 'ordinary' then 'no country'
                               when 'premium' then 'a premium-rate line'
                               when 'shared_cost' then 'a shared-cost line'
                               when 'personal' then 'the personal kind'
                               when 'test' then 'the personal kind'
                               when 'pager' then 'a pager'
                               when 'voicemail' then 'a voicemail service'
                               when 'uan' then 'the company-wide kind (UAN)'
                               when 'satellite' then 'a satellite or international network'
                               else 'no known plan'
                           end,
                           coalesce(' in ' || place.region, ''))
           end
      from destination_fault($1, $2) as fault
      left join number_place($1) as place on true
      left join business on business.id = $2
      left join destination_entry($1, place.region, $2) as entry on true
$$;
