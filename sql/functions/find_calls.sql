-- One page of calls, newest first, that begins before (before_at, before_id).
--
-- What is asked for narrowest leads: a telephone, a batch, an error, a campaign, else each business and status.  Where that
-- is not all that is asked for, call after call is looked at, scan_max of them at most; the page may then be cut short.
-- A row without an id says where it ends, and the next one begins there.
-- A role that may not read numbers may not search by them: a phone number finds nothing.
-- In PL/pgSQL, which plans it once per connection: one of SQL that cannot be inlined is planned at each call,
-- which takes longer than to find a page.
--
-- Returns the `id` and the moment (call_moment) of each; and where the search was cut, a row of that moment and `cut_id`.
create or replace function find_calls(
    with_number text, in_business bigint, in_campaign bigint, with_statuses text[], with_error text, with_answerer text,
    in_batch bigint, since timestamptz, until timestamptz, before_at timestamptz, before_id bigint, page_max integer,
    scan_max integer
) returns table (id bigint, at timestamptz, cut_id bigint)
language plpgsql stable security definer rows 50
as $$
#variable_conflict use_column
begin
    return query
    with search as materialized (
        select *
          from plan_search(with_number, in_business, in_campaign, with_error, with_answerer, in_batch, since, until,
                           before_at, before_id, scan_max)
    ), looked as materialized (
        select looked.*
          from search
         cross join lateral search_branches(lead, is_picky, from_at, last_at, last_id, with_number, in_business,
                                            in_campaign, with_statuses, with_error, with_answerer, in_batch, page_max,
                                            scan_max) as looked
    ), cut as (
        -- Behind the end of a branch that goes on, nothing is known.
        select at, id from looked where is_end order by at desc, id desc limit 1
    ), page as (
        select looked.id, looked.at
          from looked
         cross join search
          left join cut on true
         where fits
           and (looked.at, looked.id) < (last_at, last_id)
           and (cut.id is null or (looked.at, looked.id) >= (cut.at, cut.id))
           and looked.at >= from_at
         order by looked.at desc, looked.id desc
         limit page_max
    )
    select page.id, page.at, null::bigint from page
    union all
    select null, cut.at, cut.id from cut;
end
$$;
