-- Whom a session waits for, oldest transaction first. A prepared transaction has no session (pid 0).
-- $1::int: the backend that waits
select a.pid, coalesce(a.usename::text, 'autovacuum') as usename, coalesce(a.state, a.backend_type) as state,
       coalesce(extract(epoch from now() - a.xact_start), 0)::int as seconds, left(a.query, 60) as query
from unnest(pg_catalog.pg_blocking_pids($1::int)) b(pid)
join pg_catalog.pg_stat_activity a on a.pid = b.pid
union all
select 0, p.owner::text, 'prepared', extract(epoch from now() - p.prepared)::int, p.gid
from pg_catalog.pg_prepared_xacts p
where 0 = any (pg_catalog.pg_blocking_pids($1::int)) and p.database = current_database()
order by 4 desc
limit 3;
