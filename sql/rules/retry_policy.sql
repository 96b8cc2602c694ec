-- retry_policy.sql: how often and when somebody is tried again.  Read by outbound/rules/retry_policy.py alone.

-- name: add_retry_policy(business_id, name, per_day, per_week, outcomes, steps, waits, is_default, who, details)$
-- Write a retry policy with its steps, and where `is_default`, let its business's calls take it that have no other.
--
-- Returns  its id, or nothing where there is no such business; fails where the business has one of that name
with added as (
    insert into retry_ladder (business_id, name, attempts_per_day_max, attempts_per_week_max)
    select id, :name, :per_day, :per_week from business where id = :business_id
    returning id, business_id
), stepped as (
    insert into retry_step (ladder_id, outcome, step, wait)
    select added.id, step.outcome, step.step, step.wait
      from added, unnest(:outcomes::text[], :steps::integer[], :waits::interval[]) as step (outcome, step, wait)
), chosen as (
    update business set ladder_id = added.id from added where business.id = added.business_id and :is_default
), noted as (
    insert into audit (who, action, scope, key, details)
    select :who, 'retry_policy.add', 'retry_policy', id::text, :details from added
)
select id from added;

-- name: is_business(business_id)$
-- Returns  is there such a business
select exists (select from business where id = :business_id);

-- name: use_retry_policy(business_id, name, who)$
-- Let a business's calls take this retry policy that have no other, by its name or id; none, where that is NULL.
--
-- Returns  is it another than before; nothing where there is no such business, or no retry policy of that name
with before as materialized (
    select id, ladder_id from business where id = :business_id for update
), changed as (
    update business
       set ladder_id = retry_policy.id
      from before
     cross join ((select id
                    from retry_ladder
                   where business_id = :business_id and (name = :name or id::text = :name)
                   order by name <> :name
                   limit 1)
                 union all
                 select null where :name::text is null) as retry_policy
     where business.id = before.id
    returning business.id, business.ladder_id is distinct from before.ladder_id as is_another
), noted as (
    insert into audit (who, action, scope, key, details)
    select :who, 'retry_policy.use', 'business', id::text, jsonb_build_object('retry_policy', :name::text) from changed
)
select is_another from changed;

-- name: list_retry_policies(business_id, before_id, page_max)
-- Returns  a page of all retry policies, or of one business's, the newest first; all of them where page_max is NULL
with place as materialized (
    -- Where the planner does not know them, it takes each arm's index in its order; and where the order begins with the
    -- business, and the business is a range, no other index has it.
    select coalesce(:before_id::bigint, 9223372036854775807) as last_id, :page_max::bigint as most
), policy as (
    (select *
       from retry_ladder
      where business_id between :business_id::bigint and :business_id::bigint
        and id < (select last_id from place)
      order by business_id desc, id desc
      limit (select most from place))
    union all
    (select *
       from retry_ladder
      where :business_id::bigint is null and id < (select last_id from place)
      order by id desc
      limit (select most from place))
)
select policy.id, policy.business_id, policy.name, attempts_per_day_max, attempts_per_week_max,
       (select ladder_id = policy.id from business where business.id = policy.business_id) as is_default,
       array(select outcome from retry_step where ladder_id = policy.id order by outcome, step) as outcomes,
       array(select extract(epoch from wait)::integer
               from retry_step
              where ladder_id = policy.id
              order by outcome, step) as waits_s
  from policy
 order by policy.id desc;
