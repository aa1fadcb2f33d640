-- The plan's snapshot becomes the base fence: what it sees is in the leaves that are live from the start (they are empty in it).
-- $1::int: migration  $2::text: snapshot  $3::pg_lsn: WAL position after it
update partitioner.position set base_snapshot = $2::text::pg_snapshot, base_lsn = $3::pg_lsn where migration = $1::int;
