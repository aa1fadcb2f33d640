-- The partitions of a table as they are now, with their bounds as PostgreSQL prints them, and what a table of foreign keys they have by themselves.
-- $1::oid: partitioned table
select
  c.oid::text as oid,
  n.nspname as schema,
  c.relname as name,
  pg_get_expr(c.relpartbound, c.oid) as bound,
  array(
    select con.conname::text from pg_constraint con
    where con.conrelid = c.oid and con.contype = 'f' and con.conparentid = 0
    order by con.conname
  ) as "foreignKeys"
from pg_inherits i
join pg_class c on c.oid = i.inhrelid
join pg_namespace n on n.oid = c.relnamespace
where i.inhparent = $1::oid
order by n.nspname, c.relname;
