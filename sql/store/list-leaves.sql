-- The leaves of a migration; a bound that is null is open.
-- $1::int: migration
select leaf, unit, name, lower::text, upper::text from partitioner.leaf where migration = $1::int order by leaf;
