-- The new slot is there: this recovery is under way, and those before it are over.
-- $1::int: migration  $2::int: number  $3::pg_lsn: first position of the slot
with gone as (
  delete from partitioner.recovered where migration = $1::int
),
over as (
  update partitioner.recovery set finished_at = clock_timestamp() where migration = $1::int and number < $2::int and finished_at is null
)
update partitioner.recovery set slot_lsn = $3::pg_lsn where migration = $1::int and number = $2::int;
