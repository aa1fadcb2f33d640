-- How many blocks a table has now.
-- $1::text: table, quoted
select (pg_relation_size($1::text::regclass) / current_setting('block_size')::bigint)::text as blocks;
