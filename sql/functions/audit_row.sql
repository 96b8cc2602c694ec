-- A row as the audit keeps it: without its counters, people's numbers hashed, logins in URLs masked.
create or replace function audit_row(content jsonb, ignored text[], personal text[]) returns jsonb
language sql stable
as $$
    select coalesce(jsonb_object_agg(key, case
                        when key = any(personal) then to_jsonb(encode(person_hash(value #>> '{}'), 'hex'))
                        when jsonb_typeof(value) = 'string'
                            then to_jsonb(regexp_replace(value #>> '{}', '(://)[^/@\s"<>]+@', '\1***@', 'g'))
                        else value
                    end), '{}')
      from jsonb_each(content)
     where key <> all(ignored)
$$;
