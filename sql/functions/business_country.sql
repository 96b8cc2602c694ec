-- The country that a business calls without being asked: its region, or else that of its first number; NULL where it has
-- neither.
create or replace function business_country(business_id bigint, region text) returns text
language sql stable
return coalesce(upper($2), (
    select place.region
      from business_number
     cross join lateral number_place(business_number.phone) as place
     where business_number.business_id = $1
     order by business_number.created_at, business_number.phone
     limit 1
));
