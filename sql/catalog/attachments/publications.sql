-- The publications that send a table's changes, ours left out: by name, with its schema, or with all tables.
-- $1::oid: table
select
  p.pubname as name,
  r.oid is not null as "isExplicit",
  p.puballtables as "isAllTables",
  p.pubviaroot as "viaRoot",
  -- Column lists and row filters are of 15 and newer: read through the rows' JSON. Without a list, attnames has every column.
  case when to_jsonb(r) ->> 'prattrs' is not null then to_jsonb(t) -> 'attnames' end as columns,
  to_jsonb(t) ->> 'rowfilter' as "rowFilter",
  exists (select from pg_publication_rel other join pg_class c on c.oid = other.prrelid and c.relkind = 'p' where other.prpubid = p.oid) as "hasPartitioned",
  p.pubupdate or p.pubdelete as "needsIdentity",
  pg_get_userbyid(p.pubowner) as owner,
  pg_has_role(p.pubowner, 'USAGE') as "mayAlter"
from pg_publication_tables t
join pg_publication p on p.pubname = t.pubname
join pg_class c on c.oid = $1::oid and c.relname = t.tablename
join pg_namespace n on n.oid = c.relnamespace and n.nspname = t.schemaname
left join pg_publication_rel r on r.prpubid = p.oid and r.prrelid = c.oid
where p.pubname !~ '^partitioner_[0-9]+$'
order by p.pubname
