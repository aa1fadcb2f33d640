-- Where a stream begins that a switch begins: read in the switch's transaction, which holds ACCESS EXCLUSIVE on what the application writes.
-- Every transaction that wrote either table before has committed before this position, every later one of the application commits after it.
-- $1::int: migration or way back
insert into partitioner.position as p (migration, lsn, unsettled)
values ($1::int, pg_current_wal_insert_lsn(), '{}')
on conflict (migration) do update
set lsn = excluded.lsn, unsettled = excluded.unsettled, partial_lsn = null, partial_changes = 0, base_snapshot = null, base_lsn = null, commit_time = null;
