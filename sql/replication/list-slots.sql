-- Every slot with what decides whether it can be read. Takes no parameter, because a walsender has only the simple query protocol.
select slot_name::text, plugin::text, active_pid, confirmed_flush_lsn::text, wal_status
from pg_catalog.pg_replication_slots;
