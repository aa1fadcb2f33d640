-- Who reads a slot: nobody, or a session, of which nothing more is known when its role is another one.
-- $1::name: slot
select s.active_pid as pid, a.application_name, a.usename as role, host(a.client_addr) as host
from pg_catalog.pg_replication_slots s
left join pg_catalog.pg_stat_activity a on a.pid = s.active_pid
where s.slot_name = $1::name and s.active;
