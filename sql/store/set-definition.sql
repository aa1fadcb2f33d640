-- Keeps the source's definition that the migration goes on with.
-- $1::int: migration  $2::text: fingerprint  $3::jsonb: objects  $4::jsonb: storage  $5::jsonb: types  $6::jsonb: the table
insert into partitioner.definition (migration, fingerprint, objects, storage, types, table_now)
values ($1::int, $2::text, $3::jsonb, $4::jsonb, $5::jsonb, $6::jsonb)
on conflict (migration) do update
set fingerprint = excluded.fingerprint, objects = excluded.objects, storage = excluded.storage, types = excluded.types,
    table_now = excluded.table_now, seen_at = clock_timestamp();
