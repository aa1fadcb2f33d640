-- Pauses or resumes the backfill.
-- $1::int: migration  $2::boolean: paused
update partitioner.migration set paused = $2::boolean, updated_at = now() where id = $1::int;
