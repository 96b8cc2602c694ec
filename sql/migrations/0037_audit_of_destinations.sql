-- Who opened a destination, and who set a cap, is written by the audit's triggers too.
-- depends: 0030_destination 0031_spend_cap 0033_audit

do $$
begin
    perform set_config('lock_timeout', '5s', true);
    perform audit_changes_of('destination'), audit_changes_of('spend_cap');
end
$$;
