-- Tokens of a bucket, each of which is one call.  The bucket holds 1 + r/20 and fills with 3r/4 a second: a call may
-- be begun and sent 0.25 s after its claim, and no second that slides over the creates sees more than r of them, since
-- 1 + r/20 + 1.25 * 3r/4 is less than r + 1.  Without a rate there are always enough.
create or replace function pace_tokens(rate float8, tokens float8, refilled_at timestamptz) returns float8
language sql stable parallel safe
return case
    when rate is null then 1e9
    else least(1 + rate / 20, tokens + extract(epoch from now() - refilled_at) * rate * 0.75)
end;
