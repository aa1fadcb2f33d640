-- The session belongs to the daemon that has this epoch: it is found by its lock, and its transactions are refused once there is a later one.
-- Whether the epoch is still the last one.
-- $1::int: class of the lock  $2::int: migration  $3::text: epoch
select
  pg_advisory_lock_shared($1::int, $2::int) is not null as shared,
  set_config('partitioner.claim', $2::int || ':' || $3::text, false) as claim;
