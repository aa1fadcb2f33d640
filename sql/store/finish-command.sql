-- Answers a command and rings for the one who waits.
-- $1::bigint: command  $2::jsonb: outcome
with done as (
  update partitioner.command set finished_at = clock_timestamp(), outcome = $2::jsonb where id = $1::bigint returning migration
)
select pg_notify('partitioner_done', $1::bigint::text) from done;
