-- Whether the table's rows are hidden by policies, and from us.
-- $1::oid: table
select
  c.relrowsecurity as enabled,
  c.relforcerowsecurity as forced,
  c.relrowsecurity and row_security_active(c.oid) as "hidesFromUs"
from pg_class c
where c.oid = $1::oid
