-- The next step that is neither done nor given up, and how many there are.
-- $1::integer: migration
select s.step, s.object, s.statement, (select count(*)::int from partitioner.after_step t where t.migration = $1::integer) as total
from partitioner.after_step s
where s.migration = $1::integer and s.done_at is null and s.failure is null
order by s.step
limit 1
