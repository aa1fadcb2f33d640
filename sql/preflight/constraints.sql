-- The table's own CHECK and NOT NULL constraints. NOT NULL is among them from PostgreSQL 18 on, and so is "not enforced",
-- which is read out of the row as JSON because the column is missing before.
-- $1::oid: table
select con.conname::text as name,
       con.contype::text as type,
       pg_get_constraintdef(con.oid) as definition,
       con.convalidated as validated,
       con.connoinherit as no_inherit,
       coalesce((to_jsonb(con) ->> 'conenforced')::boolean, true) as enforced,
       -- A variable without a column's number is the row.
       coalesce(con.conbin::text ~ ':varattno 0 ', false) as whole_row,
       array(select a.attname::text from unnest(con.conkey) k join pg_attribute a on a.attrelid = con.conrelid and a.attnum = k order by a.attnum) as columns
from pg_constraint con
where con.conrelid = $1::oid and con.contype in ('c', 'n')
order by con.conname
