-- The units of a migration in the order in which they load.
-- $1::int: migration
select u.unit, u.state, u.step, u.load_order, u.rows_estimated::text, u.bytes_estimated::text, u.last_snapshot_lsn::text
from partitioner.unit u where u.migration = $1::int order by u.load_order, u.unit;
