-- What backends do, to tell one that works from one that waits for a client which is gone.
-- $1::int[]: pids
select pid, state, wait_event
from pg_catalog.pg_stat_activity
where pid = any ($1::int[]);
