-- The WAL position after the last snapshot that a unit used.
-- $1::int: migration  $2::int: unit
select last_snapshot_lsn::text as lsn from partitioner.unit where migration = $1::int and unit = $2::int;
