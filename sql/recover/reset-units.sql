-- Units whose loading was under way are loaded anew, but for those that an unfinished recovery has kept.
-- $1::int: migration
update partitioner.unit u
set state = 'pending', step = 'chunks', last_snapshot_lsn = null
where u.migration = $1::int and u.state = 'loading'
  and not exists (select from partitioner.recovery r where r.migration = u.migration and r.finished_at is null and r.slot_lsn is not null)
returning u.unit;
