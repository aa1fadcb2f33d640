-- Begins a full pass; what is logged so far is compared by it.
-- $1::integer: migration
with gone as (
  delete from partitioner.verified where migration = $1::integer
)
update partitioner.verification
set pass = pass + 1, tainted = false, differences = 0, started_at = clock_timestamp()
where migration = $1::integer
returning pass
