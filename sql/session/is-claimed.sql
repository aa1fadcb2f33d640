-- Whether an epoch is the last one of its migration. By a statement of its own: the lock of the one before is held by then.
-- $1::int: migration  $2::text: epoch
select not exists (select from partitioner.claim where migration = $1::int and epoch <> $2::bigint) as claimed;
