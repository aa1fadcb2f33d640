-- Logged keys were compared again.
-- $1::integer: migration
-- $2::bigint: number of the last one
-- $3::integer: how many
update partitioner.verification
set checked_to = $2::bigint, rechecked = rechecked + $3::integer
where migration = $1::integer
