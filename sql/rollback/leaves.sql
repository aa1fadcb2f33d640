-- The partitions of a table as they are now, with their bounds as PostgreSQL prints them, and what hangs on them alone: foreign keys, triggers,
-- foreign keys of other tables. Another file than before: it was truncated or rewritten.
-- $1::oid: partitioned table
select
  c.oid::text as oid,
  n.nspname as schema,
  c.relname as name,
  pg_get_expr(c.relpartbound, c.oid) as bound,
  pg_relation_filenode(c.oid)::text as filenode,
  array(
    select con.conname::text from pg_constraint con
    where con.conrelid = c.oid and con.contype = 'f' and con.conparentid = 0
    order by con.conname
  ) as "foreignKeys",
  array(
    select t.tgname::text from pg_trigger t
    where t.tgrelid = c.oid and not t.tgisinternal and t.tgparentid = 0 and t.tgname <> 'partitioner_guard' -- ours, see src/plan/guard.ts
    order by t.tgname
  ) as triggers,
  array(
    select con.conrelid::regclass::text || '.' || quote_ident(con.conname) from pg_constraint con
    where con.confrelid = c.oid and con.contype = 'f' and con.conparentid = 0
    order by 1
  ) as "referencedBy"
from pg_inherits i
join pg_class c on c.oid = i.inhrelid
join pg_namespace n on n.oid = c.relnamespace
where i.inhparent = $1::oid
order by n.nspname, c.relname;
