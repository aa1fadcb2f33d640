-- A cutover that the daemon performs now, if it does.
-- $1::integer: migration
select id, verb, requested_by
from partitioner.command
where migration = $1::integer and verb = 'cutover' and started_at is not null and finished_at is null
order by id desc
limit 1
