-- Which of some tables are there.
-- $1::text[]: schemas  $2::text[]: names
select w.schema, w.name
from unnest($1::text[], $2::text[]) w (schema, name)
join pg_namespace n on n.nspname = w.schema
join pg_class c on c.relnamespace = n.oid and c.relname = w.name;
