-- What the pass has begun or compared.
-- $1::integer: migration
select part, reached, checked_at is not null as checked
from partitioner.verified
where migration = $1::integer
