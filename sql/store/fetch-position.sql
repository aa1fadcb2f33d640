-- $1::int: migration
select lsn::text, partial_lsn::text, partial_changes::text, anomalies::text, inserted::text, updated::text, deleted::text
from partitioner.position where migration = $1::int;
