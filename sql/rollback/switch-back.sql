-- Records the switch back, in the transaction that makes it.
-- $1::int: migration  $2::jsonb: receipt
update partitioner.migration set phase = 'rolled_back', waiting = null, receipt = $2::jsonb, updated_at = now() where id = $1::int;
