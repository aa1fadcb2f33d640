-- Slots and publications with our names that no migration has: a session that was left behind by a killed daemon has made them after everything was removed.
select slot_name::text as name, 'slot' as kind
from pg_catalog.pg_replication_slots s
where s.database = current_database() and not s.active and s.slot_name ~ '^partitioner_[0-9]+_'
  and not exists (select from partitioner.migration m where m.slot_name = s.slot_name)
union all
select pubname::text, 'publication'
from pg_catalog.pg_publication p
where p.pubname ~ '^partitioner_[0-9]+$' and pg_catalog.pg_get_userbyid(p.pubowner) = current_user
  and not exists (select from partitioner.migration m where m.publication_name = p.pubname);
