-- Ends the sessions that an earlier daemon of the migration has left: those that carry its claim, and its walsender. How many there were.
-- Who reads the slot under another name is no daemon of ours: he is waited for.
-- Whom it concerns is settled before anybody is ended: a condition beside the call might be looked at after it.
-- $1::int: class of the advisory lock that they share  $2::int: migration  $3::text: name of our walsenders
with session as materialized (
  select l.pid
  from pg_locks l
  where l.locktype = 'advisory' and l.granted and l.objsubid = 2 and l.classid = $1::int::oid and l.objid = $2::int::oid
    and l.database = (select oid from pg_database where datname = current_database())
  union
  select s.active_pid
  from pg_replication_slots s
  join partitioner.migration m on m.slot_name = s.slot_name
  join pg_stat_activity a on a.pid = s.active_pid and a.application_name = $3::text
  where $2::int in (m.id, m.reverse_of) and s.database = current_database() and s.active_pid is not null
),
other as materialized (
  select pid from session where pid <> pg_backend_pid()
)
select (count(*) filter (where pg_terminate_backend(pid)))::int as ended from other;
