-- The domains, composite types and ranges that a table's columns are made of, each as one text: values of the stream are read by what they are now.
-- Values that are added to an enum are not among it: they change nothing that is there.
-- $1::oid: table
with recursive used as (
  select a.atttypid as oid
  from pg_attribute a
  where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped
  union
  select part.oid
  from used u
  join pg_type t on t.oid = u.oid
  cross join lateral (
    select t.typelem as oid where t.typelem <> 0
    union all
    select t.typbasetype where t.typbasetype <> 0
    union all
    select a.atttypid from pg_attribute a where a.attrelid = t.typrelid and t.typtype = 'c' and a.attnum > 0 and not a.attisdropped
    union all
    select r.rngsubtype from pg_range r where r.rngtypid = t.oid
  ) part
)
select
  format('%I.%I', n.nspname, t.typname) as name,
  jsonb_build_object(
    'type', t.typtype,
    'base', t.typbasetype::bigint,
    'modifier', t.typtypmod,
    'notNull', t.typnotnull,
    'constraints', (select jsonb_agg(jsonb_build_array(k.conname, k.convalidated, k.conbin::text) order by k.conname) from pg_constraint k where k.contypid = t.oid and k.contype = 'c'),
    'attributes', (
      select jsonb_agg(jsonb_build_array(a.attnum, a.attname, a.atttypid::bigint, a.atttypmod) order by a.attnum)
      from pg_attribute a
      where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
    )
  )::text as definition
from used u
join pg_type t on t.oid = u.oid
join pg_namespace n on n.oid = t.typnamespace
where t.typtype in ('d', 'c', 'r', 'm') and n.nspname <> 'pg_catalog'
order by 1;
