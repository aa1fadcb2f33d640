-- Whether a publication has a table.
-- $1::name: publication  $2::oid: table
select exists (
  select from pg_catalog.pg_publication p join pg_catalog.pg_publication_rel r on r.prpubid = p.oid where p.pubname = $1::name and r.prrelid = $2::oid
) as published;
