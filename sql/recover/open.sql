-- A slot was lost: what is to be recovered from, unless that is known already and nothing was done about it yet.
-- $1::int: migration  $2::text: why changes may be missing  $3::boolean: nothing is done before `resume`
insert into partitioner.recovery (migration, number, reason, held)
select $1::int, coalesce(max(r.number), 0) + 1, $2::text, $3::boolean
from partitioner.recovery r
where r.migration = $1::int
having not exists (select from partitioner.recovery o where o.migration = $1::int and o.slot_lsn is null)
returning number;
