-- Says what is waited for, in whatever phase.
-- $1::int: migration  $2::text: waiting
update partitioner.migration set waiting = $2::text, updated_at = now() where id = $1::int and waiting is distinct from $2::text;
