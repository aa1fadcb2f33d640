-- How many chunks a unit has.
-- $1::int: migration  $2::int: unit
select count(*)::int as chunks from partitioner.chunk where migration = $1::int and unit = $2::int;
