-- Ends the session that holds the migration's lock when its daemon has not been heard of for so long: its process is stopped, or its machine is gone.
-- Whom it concerns is settled before anybody is ended: a condition beside the call might be looked at after it.
-- $1::int: class of the migration's lock  $2::int: migration  $3::int: seconds
with silent as materialized (
  select d.backend_pid
  from partitioner.daemon d
  where d.migration = $2::int and d.seen_at < clock_timestamp() - make_interval(secs => $3::int)
    and exists (
      select
      from pg_locks l
      where l.locktype = 'advisory' and l.granted and l.objsubid = 2 and l.classid = $1::int::oid and l.objid = $2::int::oid
        and l.database = (select oid from pg_database where datname = current_database()) and l.pid = d.backend_pid
    )
)
select coalesce(bool_or(pg_terminate_backend(backend_pid)), false) as ended from silent;
