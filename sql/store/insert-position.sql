-- Where the stream begins: the slot's first position, and the transactions that snapshots may not see yet.
-- $1::int: migration  $2::pg_lsn: lsn  $3::text[]: unsettled
insert into partitioner.position (migration, lsn, unsettled)
values ($1::int, $2::pg_lsn, $3::text[]::xid8[])
on conflict (migration) do update set lsn = excluded.lsn, unsettled = excluded.unsettled;
