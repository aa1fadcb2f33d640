-- The way back is open: committed with the switch.
-- $1::int: way back  $2::jsonb: plan  $3::jsonb: what the switch back restores  $4::text: fingerprint of the partitioned table
update partitioner.migration set phase = 'ready', plan = $2::jsonb, way_back = $3::jsonb, fingerprint = $4::text, updated_at = now() where id = $1::int;
