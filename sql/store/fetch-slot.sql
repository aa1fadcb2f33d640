-- The migration's slot as the server has it; no row when it is gone.
-- $1::name: slot
select slot_name, active, active_pid, confirmed_flush_lsn::text as confirmed_lsn, wal_status, database = current_database() as here
from pg_catalog.pg_replication_slots where slot_name = $1::name;
