-- The chunks of a unit that are still to be copied.
-- $1::int: migration  $2::int: unit
select chunk, lower::text, upper::text from partitioner.chunk where migration = $1::int and unit = $2::int and not done order by chunk;
