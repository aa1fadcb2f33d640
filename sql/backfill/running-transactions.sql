-- Every transaction that may be in progress: those the snapshot lists, and those between its xmax and our own xid.
-- Run it in a transaction that has its xid (pg_current_xact_id()) already.
select array(select x::text from pg_snapshot_xip(pg_current_snapshot()) x)
    || array(select x::text from generate_series(pg_snapshot_xmax(pg_current_snapshot())::text::numeric, pg_current_xact_id()::text::numeric - 1) x)
       as xids;
