-- Which of the ranges hold a row: one probe of the index each.
-- $1::text[]: lower bounds, inclusive  $2::text[]: upper bounds, exclusive
-- Identifiers: source, key, type (the key's)
select exists (
  select from only :"source" s where s.:"key" >= r.lower::pg_catalog.:"type" and s.:"key" < r.upper::pg_catalog.:"type"
) as occupied
from unnest($1::text[], $2::text[]) with ordinality as r(lower, upper, position)
order by r.position;
