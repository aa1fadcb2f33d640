-- Prepared transactions of the whole cluster: a slot's creation waits for each of them.
select gid, owner::text as owner, database::text as database, extract(epoch from clock_timestamp() - prepared)::int as seconds
from pg_prepared_xacts
order by prepared
