-- Opens the row of a way back, that claims its names before anything is made: a later abort or finish finds them.
-- $1::int: the migration whose way back it is  $2::oid: its target, which is the source on the way back
insert into partitioner.migration (source_schema, source_name, source_oid, target_name, retired_name, options, plan, fingerprint, slot_name, publication_name, reverse_of)
select m.source_schema, m.source_name, $2::oid, m.retired_name, m.target_name, m.options, '{}', '', '', '', m.id
from partitioner.migration m
where m.id = $1::int
returning id;
