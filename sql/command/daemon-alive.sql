-- Whether a daemon holds the migration's advisory lock. Looked up, not tried: a probe that takes the lock, even for a moment, can turn a starting daemon away.
-- $1::integer: class of the advisory lock
-- $2::integer: migration
select exists (
  select
  from pg_locks
  where locktype = 'advisory' and granted and objsubid = 2
    and database = (select oid from pg_database where datname = current_database())
    and classid = $1::integer::oid and objid = $2::integer::oid
) as alive
