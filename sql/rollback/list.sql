-- The ways back of a migration, the newest first.
-- $1::int: migration
select id, source_schema, source_name, source_oid::bigint::text as source_oid, target_name, retired_name, phase, options, plan, fingerprint,
       slot_name, publication_name, paused, bytes_per_second::text, failure, waiting, receipt, way_back
from partitioner.migration
where reverse_of = $1::int
order by id desc;
