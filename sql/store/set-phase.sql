-- Moves the phase and says what is waited for; writes only when one of them changes.
-- What a switch has written stays: whoever has read the phase before it would put the old one back.
-- $1::int: migration  $2::text: phase  $3::text: waiting
update partitioner.migration set phase = $2::text, waiting = $3::text, updated_at = now()
where id = $1::int and phase <> 'switched' and (phase, waiting) is distinct from ($2::text, $3::text);
