-- roles_check.sql: which roles there are to be, and what the one that we have may do.  Read by outbound/database/roles.py alone.

-- name: name_roles(prefix)$
-- Let roles.sql, which runs next in this transaction, name its roles so.
select set_config('outbound.role_prefix', :prefix, true);

-- name: present_role()^
-- Returns  the role of this session: is it a superuser, and does it own our tables?
select current_user::text as name, rolsuper as is_superuser,
       pg_has_role(relowner, 'member') as is_owner
  from pg_roles
 cross join pg_class
 where rolname = current_user
   and pg_class.oid = 'call_log'::regclass;
