-- The rules of a table, and those of other relations (an INSERT rule on a view, say) that use it.
-- $1::oid: table  $2::oid[]: the table and the materialized views that are made anew with it
select
  r.rulename as name,
  json_build_object('schema', n.nspname, 'name', c.relname) as "table",
  c.relkind as "tableKind",
  pg_get_userbyid(c.relowner) as owner,
  r.ev_class = $1::oid as "isOwn",
  pg_get_ruledef(r.oid) as definition,
  r.ev_enabled as enabled,
  obj_description(r.oid, 'pg_rewrite') as comment,
  has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') as "mayLock",
  pg_has_role(c.relowner, 'USAGE') as "mayAlter"
from pg_rewrite r
join pg_class c on c.oid = r.ev_class
join pg_namespace n on n.oid = c.relnamespace
where r.rulename <> '_RETURN'
  and (r.ev_class = $1::oid
    or exists (select from pg_depend d where d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass and d.refobjid = any ($2::oid[])))
order by r.ev_class <> $1::oid, n.nspname, c.relname, r.rulename
