-- The way back has ended: 'failed' with its reason, 'done' when it was taken or is not wanted any more.
-- $1::int: way back  $2::text: phase  $3::jsonb: failure {code, message, detail, hint}, or null
update partitioner.migration set phase = $2::text, failure = $3::jsonb, updated_at = now() where id = $1::int and phase in ('prepared', 'ready');
