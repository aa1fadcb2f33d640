-- Ends prepare: from here the migration is resumed, not prepared again.
-- $1::int: migration  $2::jsonb: plan
update partitioner.migration set plan = $2::jsonb, phase = 'backfill', updated_at = now() where id = $1::int;
