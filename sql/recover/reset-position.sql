-- The stream begins anew at the first position of a new slot.
-- $1::int: migration  $2::pg_lsn: lsn  $3::text[]: transactions that snapshots may not see yet
update partitioner.position
set lsn = $2::pg_lsn, partial_lsn = null, partial_changes = 0, unsettled = $3::text[]::xid8[], base_snapshot = null, base_lsn = null,
    commit_time = clock_timestamp()
where migration = $1::int;
