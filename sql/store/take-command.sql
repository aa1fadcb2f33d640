-- The oldest command that nobody has taken.
-- $1::int: migration
update partitioner.command set started_at = clock_timestamp()
where id = (select id from partitioner.command where migration = $1::int and started_at is null order by id limit 1 for update skip locked)
returning id::text, verb, arguments, requested_by, to_char(started_at at time zone 'UTC', 'HH24:MI:SS"Z"') as since;
