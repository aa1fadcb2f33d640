-- Creates the slot. It waits for every transaction that runs in the cluster, bounded by lock_timeout.
-- $1::name: slot
select lsn::text from pg_create_logical_replication_slot($1::name, 'pgoutput');
