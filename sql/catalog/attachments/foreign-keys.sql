-- The foreign keys of a table and those that reference it; of a partitioned table's only its own, not its leaves'.
-- $1::oid: table
select
  con.conname as name,
  json_build_object('schema', cn.nspname, 'name', c.relname) as "table",
  c.relkind as "tableKind",
  json_build_object('schema', rn.nspname, 'name', r.relname) as "references",
  con.conrelid = $1::oid as "isOut",
  con.confrelid = $1::oid as "isIn",
  regexp_replace(pg_get_constraintdef(con.oid), ' NOT VALID$', '') as definition,
  con.convalidated as validated,
  -- Columns of 18 and newer: read through the row's JSON so that one statement serves every version.
  coalesce((to_jsonb(con) ->> 'conenforced')::boolean, true) as enforced,
  coalesce((to_jsonb(con) ->> 'conperiod')::boolean, false) as "hasPeriod",
  array(select a.attname::text from unnest(con.conkey) with ordinality k(attnum, position)
        join pg_attribute a on a.attrelid = con.conrelid and a.attnum = k.attnum order by k.position) as columns,
  array(select a.attname::text from unnest(con.confkey) with ordinality k(attnum, position)
        join pg_attribute a on a.attrelid = con.confrelid and a.attnum = k.attnum order by k.position) as "referencedColumns",
  array(select a.attname::text from pg_attribute a where a.attrelid = con.conrelid and a.attnum > 0 and not a.attisdropped order by a.attnum) as "tableColumns",
  obj_description(con.oid, 'pg_constraint') as comment,
  -- LOCK TABLE asks for one of these, of an owner too.
  has_table_privilege(con.conrelid, 'UPDATE, DELETE, TRUNCATE') as "mayLock",
  has_table_privilege(con.confrelid, 'UPDATE, DELETE, TRUNCATE') as "mayLockReferenced",
  pg_has_role(c.relowner, 'USAGE') as "mayAlter",
  has_table_privilege(con.confrelid, 'REFERENCES') or has_any_column_privilege(con.confrelid, 'REFERENCES') as "mayReference"
from pg_constraint con
join pg_class c on c.oid = con.conrelid
join pg_namespace cn on cn.oid = c.relnamespace
join pg_class r on r.oid = con.confrelid
join pg_namespace rn on rn.oid = r.relnamespace
where con.contype = 'f' and con.conparentid = 0 and (con.conrelid = $1::oid or con.confrelid = $1::oid)
order by cn.nspname, c.relname, con.conname
