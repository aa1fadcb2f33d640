-- What is left to do after the switch; committed with it.
-- $1::integer: migration  $2::jsonb: array of {object, sql}
insert into partitioner.after_step (migration, step, object, statement)
select $1::integer, s.position, s.step ->> 'object', s.step ->> 'sql'
from jsonb_array_elements($2::jsonb) with ordinality as s(step, position)
