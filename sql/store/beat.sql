-- The heartbeat of the working daemon.
-- $1::int: migration  $2::int: pid  $3::text: host  $4::int: backend pid of the session that holds the advisory lock  $5::timestamptz: since
insert into partitioner.daemon (migration, pid, host, backend_pid, since, seen_at)
values ($1::int, $2::int, $3::text, $4::int, $5::timestamptz, clock_timestamp())
on conflict (migration) do update
set pid = excluded.pid, host = excluded.host, backend_pid = excluded.backend_pid, since = excluded.since, seen_at = excluded.seen_at;
