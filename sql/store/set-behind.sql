-- Since when the daemon has had changes that it has not applied.
-- $1::int: migration  $2::float8: seconds, null while it has none
update partitioner.daemon set behind_since = clock_timestamp() - make_interval(secs => $2::float8) where migration = $1::int;
