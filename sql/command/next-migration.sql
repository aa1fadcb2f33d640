-- The id that the next migration will probably have, for the names that `plan` prints.
select coalesce(max(id), 0) + 1 as id from partitioner.migration
