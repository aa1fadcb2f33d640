-- The tables that a guard's trigger is still on.
-- $1::text: the guard's function, with its parentheses
select n.nspname::text as schema, c.relname::text as name
from pg_trigger t
join pg_class c on c.oid = t.tgrelid
join pg_namespace n on n.oid = c.relnamespace
where t.tgfoid = to_regprocedure($1::text)::oid
order by 1, 2;
