-- The materialized views that read the table, or another of them: each is bound to what it reads and has to be made anew.
-- $1::oid: table
with recursive replaced as (
  select $1::oid as oid, 0 as depth
  union
  select r.ev_class, replaced.depth + 1
  from replaced
  join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = replaced.oid and d.classid = 'pg_rewrite'::regclass
  join pg_rewrite r on r.oid = d.objid and r.ev_class <> replaced.oid
  join pg_class m on m.oid = r.ev_class and m.relkind = 'm'
)
select
  n.nspname as schema,
  c.relname as name,
  c.oid::int8 as oid,
  max(replaced.depth)::int as depth,
  pg_get_viewdef(c.oid) as definition
from replaced
join pg_class c on c.oid = replaced.oid and c.relkind = 'm'
join pg_namespace n on n.oid = c.relnamespace
group by n.nspname, c.relname, c.oid
order by 4, 1, 2
