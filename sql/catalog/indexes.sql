-- The indexes of a table, the primary key first, with the constraints they serve.
-- $1::oid: table
select
  i.indexrelid as oid,
  n.nspname as schema,
  c.relname as name,
  am.amname as access_method,
  i.indisunique as is_unique,
  i.indisprimary as is_primary,
  i.indisvalid as is_valid,
  i.indisclustered as is_clustered,
  i.indisreplident as is_replica_identity,
  array(
    select a.attname::text
    from generate_series(0, i.indnkeyatts - 1) k
    left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[k] and i.indkey[k] <> 0
    order by k
  ) as key_columns,
  array(
    select a.attname::text
    from generate_series(i.indnkeyatts::int, i.indnatts - 1) k
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[k]
    order by k
  ) as included_columns,
  -- A column of 15 and newer: read through the row's JSON so that one statement serves every version.
  coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) as nulls_not_distinct,
  -- From USING on: the names before it may hold any word, so that only their length tells where they end.
  substr(
    pg_get_indexdef(i.indexrelid),
    length(format('CREATE %sINDEX %I ON %s%I.%I ', case when i.indisunique then 'UNIQUE ' end, c.relname, case when r.relkind = 'p' then 'ONLY ' end, n.nspname, r.relname)) + 1
  ) as definition_tail,
  pg_get_expr(i.indpred, i.indrelid) as predicate,
  -- A variable without a column's number is the row.
  concat(i.indexprs::text, i.indpred::text) ~ ':varattno 0 ' as whole_row,
  coalesce(c.reloptions, '{}') as options,
  s.spcname as tablespace,
  obj_description(i.indexrelid, 'pg_class') as comment,
  (
    select coalesce(json_agg(json_build_array(a.attnum, a.attstattarget) order by a.attnum), '[]')
    from pg_attribute a
    where a.attrelid = i.indexrelid and a.attstattarget >= 0
  ) as statistics,
  case when con.oid is not null then json_build_object(
    'name', con.conname,
    'type', con.contype,
    'deferrable', con.condeferrable,
    'deferred', con.condeferred,
    'comment', obj_description(con.oid, 'pg_constraint')
  ) end as constraint
from pg_index i
join pg_class r on r.oid = i.indrelid
join pg_class c on c.oid = i.indexrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_am am on am.oid = c.relam
left join pg_tablespace s on s.oid = c.reltablespace
left join pg_constraint con on con.conindid = i.indexrelid and con.conrelid = i.indrelid and con.contype in ('p', 'u', 'x')
where i.indrelid = $1::oid and i.indislive
order by i.indisprimary desc, c.relname;
