-- The materialized views that read the table, or another of them: each is bound to what it reads and has to be made anew.
-- $1::oid: table
with recursive replaced as (
  select $1::oid as oid, 0 as depth
  union
  select r.ev_class, replaced.depth + 1
  from replaced
  join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = replaced.oid and d.classid = 'pg_rewrite'::regclass
  -- The rule of a materialized view depends on the view itself.
  join pg_rewrite r on r.oid = d.objid and r.ev_class <> replaced.oid
  join pg_class m on m.oid = r.ev_class and m.relkind = 'm'
)
select
  n.nspname as schema,
  c.relname as name,
  c.oid::int8 as oid,
  max(replaced.depth)::int as depth,
  pg_get_viewdef(c.oid) as definition,
  c.relispopulated as populated,
  -- REFRESH puts the rows into another file, REFRESH CONCURRENTLY changes them: the session that did so has counted them within a second.
  concat_ws('.', pg_relation_filenode(c.oid), pg_stat_get_tuples_inserted(c.oid), pg_stat_get_tuples_deleted(c.oid)) as contents,
  pg_get_userbyid(c.relowner) as owner,
  pg_has_role(c.relowner, 'USAGE') and has_schema_privilege(n.oid, 'CREATE') as "mayAlter",
  -- REFRESH … CONCURRENTLY makes a temporary table, in the owner's name.
  has_database_privilege(c.relowner, current_database(), 'TEMPORARY') as "ownerMayTemp",
  exists (select from pg_depend d join pg_rewrite r on r.oid = d.objid
          where d.classid = 'pg_rewrite'::regclass and r.ev_class = c.oid and d.refclassid = 'pg_constraint'::regclass
            and d.refobjid in (select con.oid from pg_constraint con where con.conrelid = $1::oid)) as "needsKey",
  (select e.extname from pg_depend d join pg_extension e on e.oid = d.refobjid
   where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_extension'::regclass limit 1) as extension,
  (select coalesce(json_agg(json_build_object(
      'name', a.attname,
      'storage', case a.attstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end
    ) order by a.attnum), '[]')
   from pg_attribute a join pg_type t on t.oid = a.atttypid
   where a.attrelid = c.oid and a.attnum > 0 and a.attstorage <> t.typstorage) as storage,
  (select coalesce(json_agg(json_build_object(
      'name', a.attname,
      'compression', case a.attcompression when 'l' then 'lz4' else 'pglz' end
    ) order by a.attnum), '[]')
   from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and a.attcompression <> '') as compression
from replaced
join pg_class c on c.oid = replaced.oid and c.relkind = 'm'
join pg_namespace n on n.oid = c.relnamespace
group by c.oid, n.oid, n.nspname, c.relname, c.relispopulated, c.relowner
order by 4, 1, 2
