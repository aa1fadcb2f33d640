-- $1::int: migration
select leaf, unit, name, lower::text, upper::text from partitioner.leaf where migration = $1::int order by leaf;
