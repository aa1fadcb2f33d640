-- A range was compared.
-- $1::integer: migration
-- $2::integer: part
-- $3::text[]: where the next range begins, null after the last one
-- $4::bigint: rows of the range
insert into partitioner.verified (migration, part, reached, rows, checked_at)
values ($1::integer, $2::integer, $3::text[], $4::bigint, case when $3::text[] is null then clock_timestamp() end)
on conflict (migration, part) do update
set reached = excluded.reached, rows = verified.rows + excluded.rows, checked_at = excluded.checked_at
