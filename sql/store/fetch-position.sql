-- How far the stream is applied, and what has been applied so far.
-- $1::int: migration
select lsn::text, partial_lsn::text, partial_changes::text, anomalies::text, inserted::text, updated::text, deleted::text,
       base_snapshot::text, base_lsn::text
from partitioner.position where migration = $1::int;
