-- Only functions: nothing is lost.
-- squawk-ignore ban-drop-function
drop function if exists calls_to_claim(bigint, bigint, float8, float8, bigint, float8, float8);
-- squawk-ignore ban-drop-function
drop function if exists judged_heads(bigint, bigint, float8, float8, bigint, float8, float8);
-- squawk-ignore ban-drop-function
drop function if exists lanes_with_room(bigint, bigint, float8, float8);
