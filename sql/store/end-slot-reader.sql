-- Ends our own walsender that reads a slot: one that replays a huge transaction of other tables does not notice that we have gone.
-- Who reads it under another name is no daemon of ours: he is waited for. Whether there was one.
-- Whom it concerns is settled before anybody is ended: a condition beside the call might be looked at after it.
-- $1::name: slot  $2::text: name of our walsenders
with reader as materialized (
  select s.active_pid as pid
  from pg_catalog.pg_replication_slots s
  join pg_catalog.pg_stat_activity a on a.pid = s.active_pid and a.application_name = $2::text
  where s.slot_name = $1::name and s.database = current_database()
)
select coalesce(bool_or(pg_catalog.pg_terminate_backend(pid)), false) as ended from reader;
