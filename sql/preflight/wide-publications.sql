-- Publications that take in every table made in a schema, and whether they publish stored generated columns.
-- $1::name: schema
-- prepare: from 18
select p.pubname::text as name, p.pubgencols = 's' as stored
from pg_catalog.pg_publication p
where (p.pubupdate or p.pubdelete)
  and (p.puballtables
       or exists (select from pg_catalog.pg_publication_namespace n
                  where n.pnpubid = p.oid and n.pnnspid = (select s.oid from pg_catalog.pg_namespace s where s.nspname = $1::name)))
order by p.pubname
