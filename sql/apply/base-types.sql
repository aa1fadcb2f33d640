-- The columns' types with domains taken down to their base types, and whether they are numeric: what a stage column is made of.
-- $1::oid: table
with recursive base as (
  select a.attname, a.attnum, a.atttypid as typid, a.atttypmod as typmod
  from pg_catalog.pg_attribute a
  where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped
  union all
  select b.attname, b.attnum, t.typbasetype, case when t.typtypmod = -1 then b.typmod else t.typtypmod end
  from base b join pg_catalog.pg_type t on t.oid = b.typid
  where t.typtype = 'd'
)
select b.attname as name, format_type(b.typid, b.typmod) as type
from base b join pg_catalog.pg_type t on t.oid = b.typid
where t.typtype <> 'd'
order by b.attnum;
