-- Takes back a command that no daemon has begun: one that is started tomorrow must not perform it.
-- $1::bigint: command
delete from partitioner.command where id = $1::bigint and started_at is null returning id
