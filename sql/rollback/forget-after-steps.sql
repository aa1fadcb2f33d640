-- What was left to do after the last switch: the next one has steps of its own.
-- $1::int: migration
delete from partitioner.after_step where migration = $1::int;
