-- Sessions that hold a lock on a table, oldest transaction first.
-- $1::oid: table  $2::int: our own backend
select a.pid, coalesce(a.usename::text, 'autovacuum') as usename, coalesce(a.state, a.backend_type) as state,
       coalesce(extract(epoch from now() - a.xact_start), 0)::int as seconds, left(a.query, 60) as query
from pg_catalog.pg_locks l
join pg_catalog.pg_stat_activity a on a.pid = l.pid
where l.locktype = 'relation' and l.relation = $1::oid and l.granted and l.pid <> $2::int and l.pid <> pg_backend_pid()
  and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
order by a.xact_start nulls last
limit 3;
