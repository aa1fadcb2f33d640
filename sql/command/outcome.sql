-- How far a command has come.
-- $1::bigint: command
select started_at is not null as started, outcome from partitioner.command where id = $1::bigint
