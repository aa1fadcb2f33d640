-- Size of a table with its TOAST table and its indexes, and of the indexes alone.
-- $1::oid: table
select pg_total_relation_size($1::oid)::text as total, pg_indexes_size($1::oid)::text as indexes
