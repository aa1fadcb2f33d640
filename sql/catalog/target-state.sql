-- What somebody else has done to the target or its leaves, in words; no row when they are as the migration left them.
-- $1::int: migration
with m as (
  select m.id, m.source_schema, m.target_name, n.oid as namespace,
    (select c.oid from pg_class c where c.relnamespace = n.oid and c.relname = m.target_name) as target
  from partitioner.migration m
  left join pg_namespace n on n.nspname = m.source_schema
  where m.id = $1::int and m.phase <> 'switched'
),
leaf as (
  select l.name, u.state, c.oid
  from m
  join partitioner.leaf l on l.migration = m.id
  join partitioner.unit u on u.migration = m.id and u.unit = l.unit
  left join pg_class c on c.relnamespace = m.namespace and c.relname = l.name
),
ours as (
  select oid from leaf where oid is not null
  union all
  select target from m where target is not null
)
select format('the target %I.%I was dropped or renamed', m.source_schema, m.target_name) as problem from m where m.target is null
union all
select format('leaf %I was dropped or renamed', l.name) from leaf l where l.oid is null
union all
select format('leaf %I was detached', l.name)
from leaf l cross join m
where l.oid is not null and l.state = 'live' and m.target is not null
  and not exists (select from pg_inherits i where i.inhrelid = l.oid and i.inhparent = m.target and not coalesce((to_jsonb(i) ->> 'inhdetachpending')::boolean, false))
union all
select format('partition %s was attached', i.inhrelid::regclass)
from m join pg_inherits i on i.inhparent = m.target
where not exists (select from leaf l where l.oid = i.inhrelid)
union all
select format('trigger %I was made on %s', t.tgname, t.tgrelid::regclass)
from ours o join pg_trigger t on t.tgrelid = o.oid
where not t.tgisinternal and t.tgname <> 'partitioner_guard'
union all
select format('trigger %I on %s was disabled', t.tgname, t.tgrelid::regclass)
from ours o join pg_trigger t on t.tgrelid = o.oid
where t.tgname = 'partitioner_guard' and t.tgenabled = 'D'
union all
select format('rule %I was made on %s', r.rulename, r.ev_class::regclass) from ours o join pg_rewrite r on r.ev_class = o.oid
union all
select format('index %I of the target is not on every leaf', c.relname)
from m join pg_index i on i.indrelid = m.target join pg_class c on c.oid = i.indexrelid
where not i.indisvalid
limit 5;
