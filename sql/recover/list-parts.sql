-- What the recovery has begun or compared.
-- $1::int: migration
select part, reached, checked_at is not null as checked, keys::text from partitioner.recovered where migration = $1::int;
