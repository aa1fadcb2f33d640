-- Puts a command into the daemon's queue and wakes it when this commits.
-- $1::integer: migration
-- $2::text: verb
-- $3::jsonb: arguments
with queued as (
  insert into partitioner.command (migration, verb, arguments)
  values ($1::integer, $2::text, $3::jsonb)
  returning id, migration
)
select id, pg_notify('partitioner_command', migration::text) from queued
