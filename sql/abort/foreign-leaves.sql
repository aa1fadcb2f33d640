-- Leaves that are partitions of another table than one that is the migration's alone.
-- $1::name: schema  $2::name[]: leaves  $3::name[]: the migration's own tables
select c.relname::text as leaf, format('%I.%I', n.nspname, p.relname) as parent
from pg_catalog.pg_class c
join pg_catalog.pg_inherits i on i.inhrelid = c.oid
join pg_catalog.pg_class p on p.oid = i.inhparent
join pg_catalog.pg_namespace n on n.oid = p.relnamespace
where c.relnamespace = (select oid from pg_catalog.pg_namespace where nspname = $1::name)
  and c.relname = any ($2::name[])
  and not (p.relnamespace = c.relnamespace and p.relname = any ($3::name[]))
order by 1
limit 1;
