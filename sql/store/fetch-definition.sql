-- The source's definition as the migration knows it.
-- $1::int: migration
select fingerprint, objects, storage, types, table_now from partitioner.definition where migration = $1::int;
