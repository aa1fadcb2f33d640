-- Drops the slot if it is there.
-- $1::name: slot
select pg_drop_replication_slot(slot_name) from pg_catalog.pg_replication_slots where slot_name = $1::name;
