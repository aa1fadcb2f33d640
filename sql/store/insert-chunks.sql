-- The chunks of a unit, in the order of their bounds.
-- $1::int: migration  $2::int: unit  $3::numeric[]: lower bounds  $4::numeric[]: upper bounds
insert into partitioner.chunk (migration, unit, chunk, lower, upper)
select $1::int, $2::int, n - 1, l, u from unnest($3::numeric[], $4::numeric[]) with ordinality as c (l, u, n);
