-- The views that read the table, or a materialized view which has to be made anew because it reads the table.
-- Views of views need nothing: a view keeps its identity when it is replaced.
-- $1::oid: table  $2::oid[]: the table and the materialized views that are made anew with it
select
  n.nspname as schema,
  c.relname as name,
  c.oid::int8 as oid,
  pg_get_viewdef(c.oid) as definition,
  coalesce(c.reloptions, '{}') as options,
  c.relpersistence as persistence,
  -- By itself, by a rule or by an INSTEAD OF trigger.
  pg_relation_is_updatable(c.oid, true) <> 0 as "isWritable",
  pg_has_role(c.relowner, 'USAGE') as "mayAlter",
  pg_get_userbyid(c.relowner) as owner,
  has_schema_privilege(n.oid, 'CREATE') as "mayCreate",
  exists (select from pg_depend d join pg_rewrite r on r.oid = d.objid
          where d.classid = 'pg_rewrite'::regclass and r.ev_class = c.oid and d.refclassid = 'pg_constraint'::regclass
            and d.refobjid in (select con.oid from pg_constraint con where con.conrelid = $1::oid)) as "needsKey",
  (select e.extname from pg_depend d join pg_extension e on e.oid = d.refobjid
   where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_extension'::regclass limit 1) as extension
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'v' and exists (
  select from pg_depend d join pg_rewrite r on r.oid = d.objid
  where d.classid = 'pg_rewrite'::regclass and r.ev_class = c.oid and r.rulename = '_RETURN'
    and d.refclassid = 'pg_class'::regclass and d.refobjid = any ($2::oid[])
)
-- The outer ones first: who comes through two of them locks them in this order.
order by c.oid desc
