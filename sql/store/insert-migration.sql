-- Opens a migration of a table; its plan is filled in by complete-migration.
-- $1::name: source schema  $2::name: source name  $3::oid: source  $4::jsonb: options  $5::text: fingerprint
insert into partitioner.migration (source_schema, source_name, source_oid, target_name, retired_name, options, plan, fingerprint, slot_name, publication_name)
values ($1::name, $2::name, $3::oid, '', '', $4::jsonb, '{}', $5::text, '', '')
returning id;
