-- Cuts a chunk in two; no row means that it is not what it was any more. Returns the second part's number.
-- $1::int: migration  $2::int: unit  $3::int: chunk  $4::numeric: where the second part begins  $5::numeric: where the chunk ends, null means open
with cut as (
  update partitioner.chunk set upper = $4::numeric
  where migration = $1::int and unit = $2::int and chunk = $3::int and not done and upper is not distinct from $5::numeric
  returning chunk
)
insert into partitioner.chunk (migration, unit, chunk, lower, upper)
select $1::int, $2::int, (select max(c.chunk) + 1 from partitioner.chunk c where c.migration = $1::int and c.unit = $2::int), $4::numeric, $5::numeric
from cut
returning chunk;
