-- The migration goes on with the source's new definition.
-- $1::int: migration  $2::text: fingerprint  $3::jsonb: plan
update partitioner.migration set fingerprint = $2::text, plan = $3::jsonb, updated_at = now() where id = $1::int;
