-- Every unit that was kept is live again, and the recovery over.
-- $1::int: migration  $2::int: number of the recovery
with over as (
  update partitioner.recovery set finished_at = clock_timestamp() where migration = $1::int and number = $2::int and finished_at is null
)
update partitioner.unit set state = 'live', step = 'live' where migration = $1::int and state = 'loading' returning unit;
