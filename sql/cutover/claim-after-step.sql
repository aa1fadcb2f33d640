-- Claims a step for this transaction; no row when another session has done it meanwhile.
-- $1::integer: migration  $2::integer: step
select s.step
from partitioner.after_step s
where s.migration = $1::integer and s.step = $2::integer and s.done_at is null and s.failure is null
for update
