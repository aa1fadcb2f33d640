-- The materialized views whose names fit a pattern: our own.
-- $1::text: regular expression
select n.nspname as schema, c.relname as name
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'm' and c.relname ~ $1::text
order by c.oid
