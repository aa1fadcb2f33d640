-- Which of the ranges hold a row: one probe of the index each. With EXISTS the planner may hope for an early hit of a
-- sequential scan, which in an empty range reads the whole table; the order leaves it only the index.
-- $1::text[]: lower bounds, inclusive  $2::text[]: upper bounds, exclusive
-- Identifiers: source, key, type (the key's)
select (
  select s.:"key" from only :"source" s
  where s.:"key" >= r.lower::pg_catalog.:"type" and s.:"key" < r.upper::pg_catalog.:"type"
  order by s.:"key"
  limit 1
) is not null as occupied
from unnest($1::text[], $2::text[]) with ordinality as r(lower, upper, position)
order by r.position;
