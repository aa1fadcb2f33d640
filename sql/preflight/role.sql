-- What the connected role may do in this database, and who owns the control schema if it is there.
select r.rolname::text as role,
       r.rolsuper as is_superuser,
       r.rolreplication as is_replication,
       array(select m.rolname::text from pg_roles m
             where m.rolname in ('rds_replication', 'rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin') and pg_has_role(r.oid, m.oid, 'member')
             order by m.rolname) as member_of,
       current_database()::text as database,
       has_database_privilege(r.oid, current_database(), 'CREATE') as may_create,
       has_database_privilege(r.oid, current_database(), 'TEMPORARY') as may_temp,
       (select jsonb_build_object('owner', n.nspowner::regrole::text,
                                  'usable', has_schema_privilege(r.oid, n.oid, 'USAGE') and has_schema_privilege(r.oid, n.oid, 'CREATE'),
                                  'ours', exists (select from pg_class c where c.relnamespace = n.oid and c.relname = 'migration'),
                                  'denied', (select array_agg(c.relname::text order by c.relname) from pg_class c
                                             where c.relnamespace = n.oid and c.relkind = 'r'
                                               and not (has_table_privilege(r.oid, c.oid, 'SELECT') and has_table_privilege(r.oid, c.oid, 'INSERT')
                                                        and has_table_privilege(r.oid, c.oid, 'UPDATE') and has_table_privilege(r.oid, c.oid, 'DELETE'))))
        from pg_namespace n where n.nspname = 'partitioner') as control_schema
from pg_roles r
where r.rolname = current_user
