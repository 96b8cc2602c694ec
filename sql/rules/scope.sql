-- scope.sql: what an operator's control is of.  Read by outbound/rules/scope.py alone.

-- name: is_known(scope, key, id)$
-- Returns  is there anything to control
select case :scope
           when 'account' then true
           when 'business' then exists (select from business where id = :id)
           when 'campaign' then exists (select from campaign where id = :id)
           when 'number' then exists (select from business_number where phone = :key)
                              or exists (select from campaign_number where phone = :key)
                              or exists (select from lane where from_number = :key)
                              or exists (select from dial_control where scope = 'number' and key = :key)
           when 'call' then exists (select from call_log where id = :id and direction = 'outbound')
       end;
