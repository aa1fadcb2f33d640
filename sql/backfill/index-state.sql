-- Whether an index is there, and valid.
-- $1::name: schema  $2::name: index
select i.indisvalid as is_valid
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_index i on i.indexrelid = c.oid
where n.nspname = $1::name and c.relname = $2::name;
