-- Records that keys were read again in a snapshot: what was kept may go live only when the applied position has passed the WAL position after it.
-- $1::int: migration  $2::int: number of the recovery  $3::pg_lsn: WAL position after the snapshot
update partitioner.recovery set last_snapshot_lsn = greatest(last_snapshot_lsn, $3::pg_lsn) where migration = $1::int and number = $2::int;
