-- Records that the unit used a snapshot: it may go live only when the applied position has passed the WAL position after it.
-- $1::int: migration  $2::int: unit  $3::pg_lsn: WAL position after the snapshot
update partitioner.unit set last_snapshot_lsn = greatest(last_snapshot_lsn, $3::pg_lsn) where migration = $1::int and unit = $2::int;
