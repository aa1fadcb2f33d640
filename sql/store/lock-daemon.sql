-- One daemon works on a migration: a session advisory lock, gone with the session that also applies the changes.
-- $1::int: migration
select pg_try_advisory_lock(1886545776, $1::int) as locked, pg_backend_pid() as backend_pid;
