-- Leaves a mark in the session (not in the database), to see whether it is there in the next transaction.
-- $1::text: mark
select set_config('partitioner.probe', $1::text, false) as mark
