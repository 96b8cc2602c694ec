-- Does this text hold characters that nobody sees, or that move what a terminal shows?  In a text of several lines
-- tabs, ends of lines and joiners do not count.  The same characters as outbound/formats/plain_text.py refuses.
create or replace function has_unseen(written text, is_of_lines boolean) returns boolean
language sql immutable parallel safe
as $$
    select case when is_of_lines then translate(written, e'\t\n\r\u200c\u200d', '') else written end
    ~ ('[\u0001-\u001f\u007f-\u009f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u180e'
       '\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb'
       '\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001-\U000e007f]')
$$;
