-- Ends sessions of ours whose connection is lost; what they hold would be free only when the server notices.
-- $1::int[]: pids  $2::text[]: their application_names, for a pid may have gone to another backend
select pg_catalog.pg_terminate_backend(a.pid) as ended
from pg_catalog.pg_stat_activity a
join unnest($1::int[], $2::text[]) lost (pid, name) on lost.pid = a.pid and lost.name = a.application_name
where a.usename = current_user;
