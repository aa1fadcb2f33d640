-- Answers the commands that a daemon had begun when it died: whoever waits for one of them is told, also when a standby took over at once.
-- $1::int: migration  $2::jsonb: outcome
with lost as (
  update partitioner.command set finished_at = clock_timestamp(), outcome = $2::jsonb
  where migration = $1::int and started_at is not null and finished_at is null
  returning id
)
select pg_notify('partitioner_done', id::text) from lost;
