-- Moves the applied position, in the transaction that applied the changes up to it.
-- $1::int: migration  $2::pg_lsn: lsn  $3::pg_lsn: partially applied commit LSN  $4::bigint: changes of it applied
-- $5::text[]: xids applied  $6::timestamptz: last commit's time  $7::bigint: inserted  $8::bigint: updated  $9::bigint: deleted
-- $10::bigint: truncated  $11::bigint: anomalies  $12::pg_lsn, $13::bigint: where the position stood; no row means that
-- another daemon has moved it meanwhile
update partitioner.position
set lsn = $2::pg_lsn,
    partial_lsn = $3::pg_lsn,
    partial_changes = $4::bigint,
    unsettled = array(select x from unnest(unsettled || $5::text[]::xid8[]) x where not pg_visible_in_snapshot(x, pg_current_snapshot())),
    commit_time = coalesce($6::timestamptz, commit_time),
    inserted = inserted + $7::bigint,
    updated = updated + $8::bigint,
    deleted = deleted + $9::bigint,
    truncated = truncated + $10::bigint,
    anomalies = anomalies + $11::bigint
where migration = $1::int and lsn = $12::pg_lsn and partial_changes = $13::bigint and lsn <= $2::pg_lsn
returning pg_snapshot_xmax(pg_current_snapshot())::text as next_xid;
