-- The limits of a migration.
-- $1::int: migration
select limits, started from partitioner.throttle where migration = $1::int;
