-- The migration's phase, held until our transaction ends: a switch that is being committed by somebody else is waited for.
-- $1::int: migration
select phase from partitioner.migration where id = $1::int for update;
