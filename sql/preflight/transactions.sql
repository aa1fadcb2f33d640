-- Sessions that are inside a transaction, the oldest first. Another role's times, even what kind of process it is, are hidden from a role without pg_read_all_stats;
-- that it is in a transaction shows in pg_locks: every transaction holds a lock on its own virtual xid, a writing one on its xid too.
select a.pid,
       a.usename::text as role,
       a.datname::text as database,
       coalesce(a.application_name, '') as application,
       coalesce(a.state, '') as state,
       extract(epoch from clock_timestamp() - a.xact_start)::int as seconds,
       exists (select from pg_locks l where l.pid = a.pid and l.locktype = 'transactionid' and l.granted) as writes
from pg_stat_activity a
where a.pid <> pg_backend_pid()
  and a.usesysid is not null
  and coalesce(a.backend_type, 'client backend') = 'client backend'
  and exists (select from pg_locks l where l.pid = a.pid and l.locktype = 'virtualxid' and l.granted)
order by a.xact_start nulls last
