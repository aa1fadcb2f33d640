-- Marks a chunk copied, in the transaction that wrote it; no row means that another daemon has copied it.
-- $1::int: migration  $2::int: unit  $3::int: chunk  $4::bigint: rows  $5::bigint: bytes  $6::pg_lsn: WAL position after the chunk's snapshot
with finished as (
  update partitioner.chunk set done = true, rows = $4::bigint, bytes = $5::bigint
  where migration = $1::int and unit = $2::int and chunk = $3::int and not done
  returning unit
)
update partitioner.unit u
set last_snapshot_lsn = greatest(u.last_snapshot_lsn, $6::pg_lsn)
from finished f
where u.migration = $1::int and u.unit = f.unit
returning u.unit;
