-- A migration, whatever its phase.
-- $1::int: migration
select id, source_schema, source_name, source_oid::bigint::text as source_oid, target_name, retired_name, phase, options, plan, fingerprint,
       slot_name, publication_name, paused, bytes_per_second::text, failure, waiting, receipt
from partitioner.migration
where id = $1::int;
