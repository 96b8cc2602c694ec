-- Make the view `old_call_meaning`: what an old call means here; of businesses that were taken over alone it says whose it
-- is.  `old_call` (make_old_views) is there already.
create or replace function make_old_call_meaning() returns void
language plpgsql
as $$
begin
    execute $view$
        create view old_call_meaning as
        select old_call.id, old_call.business_id as old_business_id, own.new_id as business_id,
               business.default_region as region, old_call.lead_id as old_lead_id,
               case when call_sid ~ '^[A-Za-z0-9:_-]{10,64}$' then call_sid end as call_sid,
               coalesce(call_sid, '') !~ '^([A-Za-z0-9:_-]{10,64})?$' as has_odd_sid,
               from_number, to_number,
               case
                   when direction ilike 'outbound%' then 'outbound'
                   when direction ilike 'inbound%' then 'inbound'
                   when exists (select from business_number as caller
                                 where caller.phone = from_number and caller.business_id = own.new_id) then 'outbound'
                   when exists (select from business_number as callee
                                 where callee.phone = to_number and callee.business_id = own.new_id) then 'inbound'
               end as direction,
               status as said_status, call_status as said_call_status,
               case when is_recent_unknown then 'in-progress' else word end as word,
               coalesce(word in ('initiated', 'ringing', 'in-progress') or is_recent_unknown, false) as is_live,
               error_code, error_message, duration, began_at, touched_at
          from old_call
          left join adopted as own
            on own.kind = 'business' and own.fate = 'adopted' and own.old_id = old_call.business_id
          left join business on business.id = own.new_id
         cross join lateral (select word_of_old_call(status, call_status) as word) as said
         -- A naive time that was local lies ahead of us.
         cross join lateral (
               select least(case when old_call.created_at between '1970-01-01' and '9000-01-01' then old_call.created_at
                                 when old_call.updated_at between '1970-01-01' and '9000-01-01' then old_call.updated_at end,
                            now()) as began_at,
                      least(case when old_call.updated_at between '1970-01-01' and '9000-01-01' then old_call.updated_at
                                 when old_call.created_at between '1970-01-01' and '9000-01-01' then old_call.created_at end,
                            now()) as touched_at
         ) as times
         -- Any word that a media event brought may stand over that of a call in progress, for as long as one lasts.
         cross join lateral (
               select word is null and coalesce(call_sid, '') <> '' and touched_at > now() - interval '4 hours'
                      as is_recent_unknown
         ) as recent
    $view$;
end
$$;
