-- Says at which pace the work goes on, and why.
-- $1::int: migration  $2::text: full, slow or hold  $3::text[]: reasons
update partitioner.throttle set pace = $2::text, reasons = $3::text[]
where migration = $1::int and (pace, reasons) is distinct from ($2::text, $3::text[]);
