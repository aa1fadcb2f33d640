-- Which of the names that the migration would make are taken in the schema, by a relation or by a type.
-- $1::name: schema  $2::text[]: names
select c.relname::text as name,
       case c.relkind when 'r' then 'table' when 'p' then 'partitioned table' when 'i' then 'index' when 'I' then 'partitioned index' when 'S' then 'sequence'
                      when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table' when 'c' then 'composite type' else 'relation' end as kind
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1::name and c.relname = any ($2::text[])
union all
select t.typname::text, 'type'
from pg_type t join pg_namespace n on n.oid = t.typnamespace
where n.nspname = $1::name and t.typname = any ($2::text[]) and t.typrelid = 0 and t.typelem = 0
order by 1
