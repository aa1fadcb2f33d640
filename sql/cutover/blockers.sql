-- Whom a session waits for, oldest transaction first. What the sessions of other roles do is hidden from a role without pg_read_all_stats: nulls.
-- A prepared transaction has no session: pg_blocking_pids says 0, and its locks stand in pg_locks without a pid, beside the one on its own xid.
-- $1::int: the backend that waits
with blocking as (
  select distinct b.pid from unnest(pg_blocking_pids($1::int)) b(pid)
),
wanted as (
  select l.locktype, l.database, l.relation, l.transactionid from pg_locks l where l.pid = $1::int and not l.granted
),
found as (
  select a.pid, null::text as gid, a.usename::text as role, coalesce(a.application_name, '') as application, a.state, a.xact_start as since,
         left(regexp_replace(a.query, '\s+', ' ', 'g'), 100) as query,
         exists (select from pg_locks l where l.pid = a.pid and not l.granted) as waits,
         -- Its kind and its query may be hidden. A process of the server that holds a lock on a table is an autovacuum.
         a.usesysid is null and coalesce(a.backend_type, 'autovacuum worker') = 'autovacuum worker' as autovacuum
  from blocking b
  join pg_stat_activity a on a.pid = b.pid
  union all
  select 0, p.gid, p.owner::text, '', 'prepared', p.prepared, null, false, false
  from pg_prepared_xacts p
  join pg_locks own on own.locktype = 'transactionid' and own.pid is null and own.granted and own.transactionid = p.transaction
  where exists (select from blocking where pid = 0)
    and exists (
      select
      from pg_locks l
      join wanted w on l.locktype = w.locktype and l.database is not distinct from w.database and l.relation is not distinct from w.relation
        and l.transactionid::text is not distinct from w.transactionid::text
      where l.pid is null and l.granted and l.virtualtransaction = own.virtualtransaction
    )
)
select f.pid, f.gid, f.role, f.application, f.state, extract(epoch from clock_timestamp() - f.since)::int as seconds, f.query, f.waits, f.autovacuum,
       f.autovacuum and coalesce(
         f.query like '%(to prevent wraparound)',
         (select max(age(c.relfrozenxid)) > current_setting('autovacuum_freeze_max_age')::int from wanted w join pg_class c on c.oid = w.relation and c.relkind in ('r', 'm')),
         false
       ) as wraparound
from found f
order by f.waits, f.since nulls last
limit 3;
