-- Records that a step is done, or why it cannot be.
-- $1::integer: migration  $2::integer: step  $3::jsonb: failure, or null
update partitioner.after_step
set done_at = case when $3::jsonb is null then clock_timestamp() end, failure = $3::jsonb
where migration = $1::integer and step = $2::integer
