-- How many keys differ. A difference taints the pass.
-- $1::integer: migration
-- $2::integer: how many
update partitioner.verification
set differences = $2::integer, tainted = tainted or $2::integer > 0
where migration = $1::integer and (differences <> $2::integer or ($2::integer > 0 and not tainted))
