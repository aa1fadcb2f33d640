-- `resume`: a recovery that was held begins.
-- $1::int: migration
update partitioner.recovery set held = false where migration = $1::int and held;
