-- The applied position as this snapshot sees it, how many applied transactions this snapshot does not see yet (the
-- snapshot is settled when there are none), and the WAL position after the snapshot. An xid at or past xmax is unseen
-- too, although pg_snapshot_xip does not list it. `slots`: how many slots were lost and made anew.
-- $1::int: migration
select lsn::text,
       pg_current_snapshot()::text as snapshot,
       (select count(*) from unnest(unsettled) x where not pg_visible_in_snapshot(x, pg_current_snapshot()))::int as unseen,
       (select array_agg(x::text) from unnest(unsettled) x where not pg_visible_in_snapshot(x, pg_current_snapshot())) as unseen_xids,
       pg_current_wal_insert_lsn()::text as wal_lsn,
       (select count(*) from partitioner.recovery r where r.migration = $1::int and r.slot_lsn is not null)::int as slots
from partitioner.position
where migration = $1::int;
