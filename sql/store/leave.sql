-- The daemon stops: nobody works on the migration.
-- $1::int: migration  $2::int: pid  $3::text: host
delete from partitioner.daemon where migration = $1::int and pid = $2::int and host = $3::text;
