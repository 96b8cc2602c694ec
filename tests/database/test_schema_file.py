"""What the schema says of itself: sql/schema.sql, and the comments in the database."""

import psycopg

from tests import schema_file
from tests.conftest import World

_WITHOUT_COMMENT = """
select relname || coalesce('.' || attname, '') as name
  from pg_class
 cross join lateral (
       select attname::text, attnum
         from pg_attribute
        where attrelid = pg_class.oid and attnum > 0 and not attisdropped
        union all
       select null, 0
 ) as part
 where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p', 'v') and relname not like '%%yoyo%%'
   and case attnum when 0 then obj_description(oid, 'pg_class') else col_description(oid, attnum) end is null
 union all
select oid::regprocedure::text
  from pg_proc
 where pronamespace = current_schema()::regnamespace and obj_description(oid, 'pg_proc') is null
"""


def test_the_committed_schema_is_what_the_migrations_make(world: World) -> None:
    with psycopg.connect(world.url) as connection:
        assert schema_file.FILE.read_text() == schema_file.text(connection), "run `make schema`"


def test_every_table_column_view_and_function_has_a_comment(world: World) -> None:
    assert world.rows(_WITHOUT_COMMENT) == [], "add `comment on ... is '...'` to the migration that makes it"
