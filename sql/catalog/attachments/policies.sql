-- The policies of a table, and those of other tables that read it.
-- $1::oid: table  $2::oid[]: the table and the materialized views that are made anew with it
select
  p.polname as name,
  json_build_object('schema', n.nspname, 'name', c.relname) as "table",
  p.polrelid = $1::oid as "isOwn",
  case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end as command,
  p.polpermissive as permissive,
  -- null is PUBLIC
  array(select case when r = 0 then null else pg_get_userbyid(r)::text end from unnest(p.polroles) r) as roles,
  pg_get_expr(p.polqual, p.polrelid) as using,
  pg_get_expr(p.polwithcheck, p.polrelid) as "withCheck",
  obj_description(p.oid, 'pg_policy') as comment,
  has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') as "mayLock",
  pg_has_role(c.relowner, 'USAGE') as "mayAlter"
from pg_policy p
join pg_class c on c.oid = p.polrelid
join pg_namespace n on n.oid = c.relnamespace
where p.polrelid = $1::oid
  or exists (select from pg_depend d where d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_class'::regclass and d.refobjid = any ($2::oid[]))
order by p.polrelid <> $1::oid, n.nspname, c.relname, p.polname
