-- A range of a kept leaf was compared.
-- $1::int: migration  $2::int: part  $3::text[]: where the next range begins, null after the last one
-- $4::bigint: keys that differed  $5::pg_lsn: WAL position after the snapshot
insert into partitioner.recovered (migration, part, reached, keys, snapshot_lsn, checked_at)
values ($1::int, $2::int, $3::text[], $4::bigint, $5::pg_lsn, case when $3::text[] is null then clock_timestamp() end)
on conflict (migration, part) do update
set reached = excluded.reached, keys = recovered.keys + excluded.keys, snapshot_lsn = greatest(recovered.snapshot_lsn, excluded.snapshot_lsn),
    checked_at = excluded.checked_at;
