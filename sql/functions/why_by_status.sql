-- Why a call that does not wait is not being dialed (why_not_dialed): nobody knows it, it has ended, or it is on its way.
create or replace function why_by_status(call_id bigint)
returns table (place integer, code text, sentence text, until timestamptz, details jsonb)
language sql stable
as $$
    with call as (
        select call_log.*, call_zone(to_number, time_zone, business_id) as zone from call_log where id = $1
    )
    select 0, 'unknown_call',
           coalesce('There is no call ' || $1 || '.',
                    'That is not the id of a call: `enqueue_call` returned it as `call_id`.'),
           null::timestamptz, '{}'::jsonb
     where not exists (select from call)
    union all
    select 1, 'ended',
           concat_ws(' ', 'It has ended: ' || status || coalesce(', ' || moment_text(ended_at, zone), '') || '.',
                     'Error ' || error_code || ':', error_message),
           null,
           jsonb_build_object('status', status, 'ended_at', ended_at, 'error_code', error_code,
                              'error_message', error_message)
      from call
     where call_status_rank(status) = 5
    union all
    select 2, 'in_the_air',
           case
               when call_sid is null then 'It is being dialed: the answer of the carrier is awaited.'
               else 'It is in the air: ' || status || '.'
           end
           || case when hang_up is not null then ' An operator has asked to hang up.' else '' end,
           null,
           jsonb_build_object('status', status, 'dialed_at', dialed_at, 'hang_up', hang_up)
      from call
     where status in ('initiated', 'ringing', 'in-progress')
    union all
    select 3, 'claimed',
           'A worker was told to dial it; should it not begin, the call is taken back at '
           || moment_text(overdue_at, zone) || '.',
           overdue_at, '{}'
      from call
     where status = 'claimed'
$$;
