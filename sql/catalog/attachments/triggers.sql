-- The triggers of a table that a person made, and the constraint triggers of other tables that name it.
-- $1::oid: table
select
  t.tgname as name,
  json_build_object('schema', n.nspname, 'name', c.relname) as "table",
  t.tgrelid = $1::oid as "isOwn",
  pg_get_triggerdef(t.oid) as definition,
  t.tgenabled as enabled,
  (t.tgtype & 1) <> 0 as "isRow",
  (t.tgtype & 2) <> 0 as "isBefore",
  (t.tgtype & 16) <> 0 as "isOnUpdate",
  t.tgoldtable is not null or t.tgnewtable is not null as "hasTransitionTables",
  t.tgfoid::regprocedure::text as routine,
  has_function_privilege(t.tgfoid, 'EXECUTE') as "mayExecute",
  p.prosrc as source,
  (select e.extname from pg_depend d join pg_extension e on e.oid = d.refobjid
   where d.classid = 'pg_trigger'::regclass and d.objid = t.oid and d.refclassid = 'pg_extension'::regclass limit 1) as extension,
  obj_description(t.oid, 'pg_trigger') as comment,
  case when t.tgconstraint <> 0 then obj_description(t.tgconstraint, 'pg_constraint') end as "constraintComment"
from pg_trigger t
join pg_class c on c.oid = t.tgrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_proc p on p.oid = t.tgfoid
where (t.tgrelid = $1::oid or t.tgconstrrelid = $1::oid) and not t.tgisinternal
order by t.tgrelid <> $1::oid, t.tgname
