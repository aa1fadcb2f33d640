-- Transactions that a slot's creation waits for, oldest first.
select a.pid, a.usename, a.datname, a.state, extract(epoch from now() - a.xact_start)::int as seconds, left(a.query, 80) as query
from pg_catalog.pg_stat_activity a
where a.backend_xid is not null and a.pid <> pg_backend_pid()
union all
select null, p.owner, p.database, 'prepared', extract(epoch from now() - p.prepared)::int, p.gid
from pg_catalog.pg_prepared_xacts p
order by seconds desc nulls last
limit 5;
