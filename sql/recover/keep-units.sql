-- Units that were live keep their rows, and are not believed.
-- $1::int: migration
update partitioner.unit set state = 'loading', step = 'resync' where migration = $1::int and state = 'live';
