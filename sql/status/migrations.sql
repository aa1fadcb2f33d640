-- The newest migration of each table: what `status` shows of it, with the server's own clock and WAL position.
-- $1::text: a table as the user writes it (events, app.events, "App"."Events"), null for every table
-- $2::integer: class of the advisory lock that a migration's daemon holds
with wanted as (
  select case when $1::text is null then null else parse_ident($1::text) end as parts
),
newest as (
  select distinct on (m.source_schema, m.source_name) m.*
  from partitioner.migration m, wanted w
  where m.reverse_of is null
    and (w.parts is null
      or (cardinality(w.parts) = 1 and m.source_name = w.parts[1])
      or (cardinality(w.parts) = 2 and m.source_schema = w.parts[1] and m.source_name = w.parts[2]))
  order by m.source_schema, m.source_name, m.id desc
),
here as (
  select pg_current_wal_lsn() as wal, clock_timestamp() as now
)
select
  m.id,
  format('%I.%I', m.source_schema, m.source_name) as source,
  format('%I.%I', m.source_schema, m.target_name) as target,
  m.phase,
  m.paused,
  m.waiting,
  m.failure,
  stream.slot_name,
  u.pending,
  u.loading,
  u.indexing,
  u.live,
  u.total,
  u.rows_estimated,
  u.bytes_estimated,
  c.rows_copied,
  c.bytes_copied,
  p.lsn::text as applied_lsn,
  coalesce(p.anomalies, 0) as anomalies,
  greatest(0, pg_wal_lsn_diff(h.wal, greatest(p.lsn, s.confirmed_flush_lsn)))::bigint as lag_bytes,
  -- The stream of a quiet table brings no transaction: then the slot's confirmed position, moved by keepalives, tells that nothing waits, unless the
  -- daemon says that something does.
  case
    when p.lsn is null then null
    when greatest(p.lsn, s.confirmed_flush_lsn) >= h.wal then 0
    when s.active and behind.since is not null then greatest(0, extract(epoch from h.now - greatest(p.commit_time, behind.since)))
    when s.active and s.confirmed_flush_lsn >= p.lsn and p.partial_lsn is null then 0
    else greatest(0, extract(epoch from h.now - case
      when s.confirmed_flush_lsn >= p.lsn and p.partial_lsn is null then greatest(p.commit_time, d.seen_at, m.created_at)
      else coalesce(p.commit_time, m.created_at)
    end))
  end::float8 as lag_seconds,
  s.slot_name is not null as slot_exists,
  s.active as slot_active,
  s.wal_status,
  pg_wal_lsn_diff(h.wal, s.restart_lsn)::bigint as retained_bytes,
  s.safe_wal_size as safe_bytes,
  d.pid as daemon_pid,
  d.host as daemon_host,
  to_char(d.since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as daemon_since,
  l.pid is not null as daemon_alive,
  v.pass as verify_pass,
  coalesce(v.tainted, false) as verify_tainted,
  coalesce(v.differences, 0) as differences,
  coalesce(v.rechecked, 0) as rechecked,
  case when v.by_key then 1 else f.leaves end::int as verify_total,
  r.checked as verify_checked,
  r.rows as verify_rows,
  to_char(r.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as verified_at,
  a.done as after_done,
  a.failed as after_failed,
  a.total as after_total,
  extract(epoch from h.now - coalesce(b.began, m.created_at))::float8 as copying_seconds,
  case when rec.number is not null then json_build_object('since', to_char(rec.lost_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    'reason', rec.reason, 'held', rec.held, 'compared', rec.compared, 'keys', rec.keys) end as recovery,
  (select json_build_object('pace', t.pace, 'reasons', t.reasons, 'limits', t.limits) from partitioner.throttle t where t.migration = m.id) as throttle,
  back.phase as way_back_phase,
  back.failure as way_back_failure
from newest m
cross join here h
-- The way back: after the cutover it is the stream that is followed.
left join lateral (
  select w.id, w.slot_name, w.phase, w.failure
  from partitioner.migration w
  where w.reverse_of = m.id and m.phase = 'switched'
  order by w.id desc
  limit 1
) back on true
cross join lateral (
  select
    case when back.phase = 'ready' then back.id else m.id end as id,
    case when back.phase = 'ready' then back.slot_name else m.slot_name end as slot_name
) stream
left join partitioner.position p on p.migration = stream.id
left join partitioner.daemon d on d.migration = m.id
-- Not by name: a daemon of an older version has not made the column.
left join lateral (select (to_jsonb(d) ->> 'behind_since')::timestamptz as since) behind on true
left join pg_replication_slots s on s.slot_name = stream.slot_name and s.database = current_database()
left join lateral (
  select
    count(*) filter (where state = 'pending') as pending,
    count(*) filter (where state = 'loading' and step not in ('index', 'resync')) as loading,
    count(*) filter (where state = 'loading' and step in ('index', 'resync')) as indexing,
    count(*) filter (where state = 'live') as live,
    count(*) as total,
    coalesce(sum(rows_estimated), 0)::bigint as rows_estimated,
    coalesce(sum(bytes_estimated), 0)::bigint as bytes_estimated
  from partitioner.unit
  where migration = m.id
) u on true
left join lateral (
  select coalesce(sum(rows), 0)::bigint as rows_copied, coalesce(sum(bytes), 0)::bigint as bytes_copied
  from partitioner.chunk
  where migration = m.id
) c on true
left join lateral (
  select
    count(*) filter (where done_at is not null)::int as done,
    count(*) filter (where failure is not null)::int as failed,
    count(*)::int as total
  from partitioner.after_step
  where migration = m.id
) a on true
left join partitioner.verification v on v.migration = m.id
left join lateral (
  select count(*)::int as leaves from partitioner.leaf where migration = m.id
) f on true
left join lateral (
  select count(*) filter (where checked_at is not null)::int as checked, coalesce(sum(rows), 0)::bigint as rows, max(checked_at) as at
  from partitioner.verified
  where migration = m.id
) r on true
left join lateral (
  select o.number, o.lost_at, o.reason, o.held,
    (select count(*) from partitioner.recovered p where p.migration = m.id and p.checked_at is not null) as compared,
    (select coalesce(sum(p.keys), 0) from partitioner.recovered p where p.migration = m.id) as keys
  from partitioner.recovery o
  where o.migration = m.id and o.finished_at is null
  order by o.number desc
  limit 1
) rec on true
left join lateral (
  select max(at) as began from partitioner.history where migration = m.id and event = 'prepared'
) b on true
left join lateral (
  select pid
  from pg_locks
  where locktype = 'advisory' and granted and objsubid = 2
    and database = (select oid from pg_database where datname = current_database())
    and classid = $2::integer::oid and objid = m.id::oid
  limit 1
) l on true
order by m.id
