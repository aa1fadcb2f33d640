-- Moves a unit to another state and step.
-- $1::int: migration  $2::int: unit  $3::text: state  $4::text: step
update partitioner.unit set state = $3::text, step = $4::text where migration = $1::int and unit = $2::int;
