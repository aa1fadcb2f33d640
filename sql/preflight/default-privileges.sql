-- Privileges that every new table of the connected role in this schema is born with, and which of them the table does not grant itself.
-- $1::oid: table
select coalesce(g.rolname::text, 'public') as grantee,
       x.privilege_type as privilege,
       case when d.defaclnamespace = 0 then null else c.relnamespace::regnamespace::text end as schema,
       exists (select from aclexplode(c.relacl) y where y.grantee = x.grantee and y.privilege_type = x.privilege_type and (y.is_grantable or not x.is_grantable)) as on_table
from pg_class c
join pg_default_acl d on d.defaclobjtype = 'r' and d.defaclnamespace in (0, c.relnamespace)
                     and d.defaclrole = (select oid from pg_roles where rolname = current_user)
cross join lateral aclexplode(d.defaclacl) x
left join pg_roles g on g.oid = x.grantee
where c.oid = $1::oid and x.grantee not in (c.relowner, d.defaclrole)
order by 1, 2
