-- The types of a prepared statement's parameters, in order.
-- $1::text: statement
select array(select t::text from unnest(parameter_types) with ordinality as u(t, position) order by position) as types
from pg_catalog.pg_prepared_statements
where name = $1::text
