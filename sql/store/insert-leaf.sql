-- A leaf of the plan, or one that the applier has made.
-- $1::int: migration  $2::int: leaf  $3::int: unit  $4::name: name  $5::numeric: lower  $6::numeric: upper
insert into partitioner.leaf (migration, leaf, unit, name, lower, upper) values ($1::int, $2::int, $3::int, $4::name, $5::numeric, $6::numeric);
