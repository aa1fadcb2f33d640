-- The functions, procedures and aggregates that are bound to the table (a body of SQL-standard form, BEGIN ATOMIC) or to its row
-- type (in the signature). A body that is text finds the table by its name and is not among them.
-- $1::oid: table  $2::oid[]: the table and the materialized views that are made anew with it
select
  p.proname as name,
  (pg_identify_object('pg_proc'::regclass, p.oid, 0)).identity as identity,
  p.prokind as kind,
  case when p.prokind in ('f', 'p') then pg_get_functiondef(p.oid) end as definition,
  p.prosqlbody is not null as "hasSqlBody",
  exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.refclassid = 'pg_type'::regclass
            and d.refobjid in (select t.oid from pg_type t where t.typrelid = $1::oid union all select t.typarray from pg_type t where t.typrelid = $1::oid)
         ) as "usesRowType",
  exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.refclassid = 'pg_constraint'::regclass
            and d.refobjid in (select con.oid from pg_constraint con where con.conrelid = $1::oid)) as "needsKey",
  -- The row type can be in the body alone too (a cast): then CREATE OR REPLACE binds it anew.
  exists (select from pg_type t where t.typrelid = $1::oid
            and (p.prorettype in (t.oid, t.typarray) or array[t.oid, t.typarray] && (p.proargtypes::oid[] || coalesce(p.proallargtypes, '{}')))
         ) as "isInSignature",
  array(select distinct pg_describe_object(d.classid, d.objid, 0) from pg_depend d
        where d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid order by 1) as dependents,
  pg_get_userbyid(p.proowner) as owner,
  pg_has_role(p.proowner, 'USAGE') as "mayAlter",
  has_schema_privilege(p.pronamespace, 'CREATE') as "mayCreate",
  (select coalesce(json_agg(json_build_object(
      'grantee', case when x.grantee = 0 then null else pg_get_userbyid(x.grantee) end,
      'grantor', pg_get_userbyid(x.grantor),
      'privilege', x.privilege_type,
      'grantable', x.is_grantable
    ) order by x.grantee, x.grantor, x.privilege_type), '[]')
   from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x) as grants,
  -- Whom ALTER DEFAULT PRIVILEGES of our role lets execute a routine that it makes there.
  array(select distinct pg_get_userbyid(x.grantee)::text from pg_default_acl d cross join lateral aclexplode(d.defaclacl) x
        where d.defaclrole = (select r.oid from pg_roles r where r.rolname = current_user) and d.defaclobjtype = 'f'
          and d.defaclnamespace in (0, p.pronamespace) and x.grantee <> 0 order by 1) as "defaultGrantees",
  obj_description(p.oid, 'pg_proc') as comment,
  (select e.extname from pg_depend d join pg_extension e on e.oid = d.refobjid
   where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.refclassid = 'pg_extension'::regclass limit 1) as extension
from pg_proc p
where p.oid in (
  select d.objid from pg_depend d
  where d.classid = 'pg_proc'::regclass
    and (
      (d.refclassid = 'pg_class'::regclass and d.refobjid = any ($2::oid[]))
      or (d.refclassid = 'pg_type'::regclass
          and d.refobjid in (select t.oid from pg_type t where t.typrelid = $1::oid union all select t.typarray from pg_type t where t.typrelid = $1::oid))
      or (d.refclassid = 'pg_constraint'::regclass and d.refobjid in (select con.oid from pg_constraint con where con.conrelid = $1::oid))
    )
)
order by 2
