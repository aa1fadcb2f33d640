-- Takes the next epoch of a migration; waits for the transactions that the last one has under way.
-- $1::int: migration
insert into partitioner.claim as c (migration, epoch) values ($1::int, 1)
on conflict (migration) do update set epoch = c.epoch + 1, taken_at = clock_timestamp()
returning epoch::text;
