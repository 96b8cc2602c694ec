-- Drop the views of make_old_views, and what hangs on them.
create or replace function drop_old_views() returns void
language plpgsql
as $$
declare
    view_name text;
begin
    foreach view_name in array array['old_call_meaning', 'old_business', 'old_settings', 'old_call', 'old_lead', 'old_run',
                                   'old_job'] loop
        execute format('drop view if exists %I.%I cascade', current_schema(), view_name);
    end loop;
end
$$;
