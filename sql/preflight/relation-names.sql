-- The names of the database's tables, views and foreign tables, to say what a mistyped name probably meant.
select n.nspname::text as schema, c.relname::text as name
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition and n.nspname not in ('pg_catalog', 'information_schema', 'partitioner') and n.nspname not like 'pg\_%'
order by 1, 2
limit 20000
