-- Begins the verification of a migration.
-- $1::integer: migration
-- $2::boolean: by ranges of the primary key
insert into partitioner.verification (migration, by_key)
values ($1::integer, $2::boolean)
on conflict (migration) do nothing
