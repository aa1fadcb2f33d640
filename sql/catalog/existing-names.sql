-- Which of the names are taken in a schema.
-- $1::name: schema  $2::text[]: names
select c.relname as name
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1::name and c.relname = any ($2::text[])
order by c.relname
limit 10;
