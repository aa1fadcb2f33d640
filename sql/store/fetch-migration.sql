-- The open (or last) migration of a table.
-- $1::name: source schema  $2::name: source name
select id, source_schema, source_name, source_oid::bigint::text as source_oid, target_name, retired_name, phase, options, plan, fingerprint,
       slot_name, publication_name, paused, bytes_per_second::text, failure, waiting, receipt
from partitioner.migration
where source_schema = $1::name and source_name = $2::name and reverse_of is null
order by phase in ('done', 'aborted'), id desc
limit 1;
