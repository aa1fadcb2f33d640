-- The columns, each with the type that is left when its domains are taken off, and what the statistics say of NULLs.
-- $1::oid: table
with recursive resolved as (
  select a.attnum, a.atttypid as typid, a.attcollation as collation, a.atttypmod as typmod
  from pg_attribute a
  where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped
  union all
  select r.attnum, t.typbasetype, r.collation, case when t.typtypmod <> -1 then t.typtypmod else r.typmod end
  from resolved r join pg_type t on t.oid = r.typid
  where t.typtype = 'd'
)
select a.attname::text as name,
       a.attnum::int as attnum,
       format_type(a.atttypid, a.atttypmod) as type,
       a.atttypid::text as type_oid,
       format_type(t.oid, null) as base_type,
       t.typtype::text as base_kind,
       t.typelem <> 0 and t.typcategory = 'A' as is_array,
       t.oid < 16384 as is_builtin,
       t.typisdefined as is_defined,
       r.typmod as typmod,
       coalesce((select collisdeterministic from pg_collation where oid = r.collation), true) as is_deterministic,
       a.attnotnull as not_null,
       a.attgenerated::text as generated,
       (select max(s.null_frac) from pg_stats s
        where s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname and not s.inherited) as null_fraction
from resolved r
join pg_type t on t.oid = r.typid and t.typtype <> 'd'
join pg_attribute a on a.attrelid = $1::oid and a.attnum = r.attnum
join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
order by a.attnum
