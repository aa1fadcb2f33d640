-- What the limits are about: standbys (without logical ones), sessions that work, the WAL's end, what a slot retains. Of sessions of other roles
-- nothing is seen without pg_read_all_stats: `unseen` counts them.
-- $1::name: slot
select
  (select max(extract(epoch from r.replay_lag)) from pg_catalog.pg_stat_replication r
    where not exists (select from pg_catalog.pg_replication_slots s where s.active_pid = r.pid and s.slot_type = 'logical'))::float8 as replay_lag,
  (select count(*) from pg_catalog.pg_stat_replication r where r.state is null)::int as unseen_standbys,
  (select count(*) from pg_catalog.pg_stat_activity a
    where a.state = 'active' and a.backend_type = 'client backend' and a.application_name not like 'partitioner%' and a.pid <> pg_backend_pid())::int as sessions,
  (select count(*) from pg_catalog.pg_stat_activity a where a.backend_type is null and a.usename is not null)::int as unseen_sessions,
  (pg_current_wal_lsn() - '0/0'::pg_lsn)::float8 as wal,
  (select (pg_current_wal_lsn() - s.restart_lsn)::float8 from pg_catalog.pg_replication_slots s where s.slot_name = $1::name) as slot_bytes,
  extract(epoch from clock_timestamp())::float8 as at;
