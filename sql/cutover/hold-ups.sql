-- Who holds a lock on a table that a cutover may wait for in vain: prepared transactions, an autovacuum to prevent wraparound, transactions of some age.
-- $1::text: the table, qualified and quoted  $2::int: seconds from which on a transaction is old  $3::int: a backend to leave out, the one that waits
with held as (
  select l.pid, l.virtualtransaction, c.relfrozenxid
  from pg_class c
  join pg_locks l on l.locktype = 'relation' and l.relation = c.oid and l.granted
    and l.database = (select oid from pg_database where datname = current_database())
  where c.oid = to_regclass($1::text)
),
found as (
  select a.pid, null::text as gid, a.usename::text as role, coalesce(a.application_name, '') as application, a.state, a.xact_start as since,
         left(regexp_replace(a.query, '\s+', ' ', 'g'), 100) as query,
         exists (select from pg_locks l where l.pid = a.pid and not l.granted) as waits,
         a.usesysid is null and coalesce(a.backend_type, 'autovacuum worker') = 'autovacuum worker' as autovacuum,
         coalesce(
           a.query like '%(to prevent wraparound)',
           (select max(age(h.relfrozenxid)) > current_setting('autovacuum_freeze_max_age')::int from held h where h.relfrozenxid <> '0'::xid),
           false
         ) as wraparound
  from pg_stat_activity a
  where a.pid in (select h.pid from held h) and a.pid <> pg_backend_pid() and a.pid <> $3::int
  union all
  select 0, p.gid, p.owner::text, '', 'prepared', p.prepared, null, false, false, false
  from pg_prepared_xacts p
  join pg_locks own on own.locktype = 'transactionid' and own.pid is null and own.granted and own.transactionid = p.transaction
  where own.virtualtransaction in (select h.virtualtransaction from held h where h.pid is null)
)
select f.pid, f.gid, f.role, f.application, f.state, extract(epoch from clock_timestamp() - f.since)::int as seconds, f.query, f.waits, f.autovacuum,
       f.autovacuum and f.wraparound as wraparound
from found f
where f.gid is not null or (f.autovacuum and f.wraparound) or (not f.autovacuum and f.since < clock_timestamp() - make_interval(secs => $2::int))
order by f.waits, f.since nulls last
limit 5;
