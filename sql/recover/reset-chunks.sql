-- The chunks of units that are loaded anew.
-- $1::int: migration  $2::int[]: units
update partitioner.chunk set done = false, rows = 0, bytes = 0 where migration = $1::int and unit = any ($2::int[]) and (done or rows > 0);
