-- Where the verification stands, and how often the stream has brought a TRUNCATE.
-- $1::integer: migration
select v.by_key, v.pass, v.tainted, v.checked_to::text, v.differences, p.truncated::text
from partitioner.verification v
join partitioner.position p using (migration)
where v.migration = $1::integer
