-- The recovery that is under way, if one is.
-- $1::int: migration
select r.number, r.reason, r.held, r.slot_lsn::text,
       greatest(r.last_snapshot_lsn, (select max(p.snapshot_lsn) from partitioner.recovered p where p.migration = r.migration))::text as last_snapshot_lsn
from partitioner.recovery r
where r.migration = $1::int and r.finished_at is null
order by r.number desc
limit 1;
