-- Stops a migration with its failure. One that was switched has not failed: what it was to do is done.
-- $1::int: migration  $2::jsonb: failure {code, message, detail, hint}
update partitioner.migration set phase = 'failed', failure = $2::jsonb, waiting = null, updated_at = now() where id = $1::int and phase not in ('switched', 'done', 'aborted');
