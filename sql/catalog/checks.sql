-- The CHECK constraints of a table, and the comments of its NOT NULL constraints (which have rows of their own from 18 on).
-- $1::oid: table
select
  con.contype as type,
  con.conname as name,
  pg_get_constraintdef(con.oid) as definition,
  con.convalidated as validated,
  con.connoinherit as no_inherit,
  obj_description(con.oid, 'pg_constraint') as comment
from pg_constraint con
where con.conrelid = $1::oid and con.contype in ('c', 'n')
order by con.conname;
