-- Records the switch, in the transaction that makes it, and tells which transaction that is: whether it has committed can be asked when its session is cut.
-- $1::int: migration  $2::jsonb: receipt
update partitioner.migration set phase = 'switched', waiting = null, receipt = $2::jsonb, updated_at = now() where id = $1::int
returning pg_current_xact_id()::text as xid;
