-- What the connected role, and the table's owner, may do with the table, its schema, tablespaces and types.
-- $1::oid: table
select c.relowner::regrole::text as owner,
       current_user::text as role,
       pg_has_role(current_user, c.relowner, 'USAGE') as inherits_owner,
       case when current_setting('server_version_num')::int >= 160000 then pg_has_role(current_user, c.relowner, 'SET')
            else pg_has_role(current_user, c.relowner, 'MEMBER') end as may_set_owner,
       n.nspname::text as schema,
       has_schema_privilege(current_user, n.oid, 'USAGE') as schema_usage,
       has_schema_privilege(current_user, n.oid, 'CREATE') as schema_create,
       has_schema_privilege(c.relowner, n.oid, 'CREATE') as owner_schema_create,
       -- LOCK TABLE in the modes that the cutover takes asks for one of the three.
       array(select 'SELECT' where not has_table_privilege(current_user, c.oid, 'SELECT')
             union all
             select 'UPDATE' where not has_table_privilege(current_user, c.oid, 'UPDATE, DELETE, TRUNCATE')) as missing_privileges,
       array(select distinct t.spcname::text from pg_tablespace t
             where t.oid in (select r.reltablespace from pg_class r
                             where r.oid = c.oid or r.oid in (select indexrelid from pg_index where indrelid = c.oid))
               and not (has_tablespace_privilege(current_user, t.oid, 'CREATE') and has_tablespace_privilege(c.relowner, t.oid, 'CREATE'))
             order by 1) as missing_tablespaces,
       array(select distinct format_type(a.atttypid, null) from pg_attribute a
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and not has_type_privilege(current_user, a.atttypid, 'USAGE')
             order by 1) as missing_types
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.oid = $1::oid
