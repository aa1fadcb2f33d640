-- What a step after the switch has altered of the partitioned table is part of the switch: the way back takes it for what was there.
-- $1::int: way back  $2::jsonb: parts of the definition  $3::text: fingerprint before the step  $4::text: fingerprint after it
update partitioner.migration
set way_back = jsonb_set(way_back, '{partitionedParts}', $2::jsonb),
    fingerprint = case when fingerprint = $3::text then $4::text else fingerprint end,
    updated_at = now()
where id = $1::int;
