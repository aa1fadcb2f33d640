-- Marks a chunk copied, in the transaction that wrote it; no row means that another daemon has copied it, or that the slot was lost since its
-- snapshot (then nobody has recorded what changed after it), or that the chunk was cut.
-- $1::int: migration  $2::int: unit  $3::int: chunk  $4::bigint: rows  $5::bigint: bytes  $6::pg_lsn: WAL position after the chunk's snapshot
-- $7::int: slots lost and made anew, as the chunk's snapshot saw it  $8::numeric, $9::numeric: the chunk's bounds
with finished as (
  update partitioner.chunk set done = true, rows = $4::bigint, bytes = $5::bigint
  where migration = $1::int and unit = $2::int and chunk = $3::int and not done
    and lower is not distinct from $8::numeric and upper is not distinct from $9::numeric
    and (select count(*) from partitioner.recovery r where r.migration = $1::int and r.slot_lsn is not null) = $7::int
  returning unit
)
update partitioner.unit u
set last_snapshot_lsn = greatest(u.last_snapshot_lsn, $6::pg_lsn)
from finished f
where u.migration = $1::int and u.unit = f.unit
returning u.unit;
