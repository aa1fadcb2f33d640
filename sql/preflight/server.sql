-- The server's version, role, limits and how much of them is used. (What kind of process another role's session is may be hidden.) Settings stand as pg_settings has them: in the setting's own unit.
select current_setting('server_version_num')::int as version_num,
       version() as version,
       pg_is_in_recovery() as in_recovery,
       current_database() as database,
       pg_encoding_to_char((select encoding from pg_database where datname = current_database())) as encoding,
       (select jsonb_object_agg(name, setting) from pg_settings
        where name in ('wal_level', 'max_replication_slots', 'max_wal_senders', 'max_slot_wal_keep_size', 'wal_sender_timeout',
                       'idle_replication_slot_timeout', 'max_locks_per_transaction', 'max_connections', 'max_prepared_transactions',
                       'autovacuum_max_workers', 'autovacuum_worker_slots', 'max_worker_processes', 'superuser_reserved_connections',
                       'reserved_connections', 'autovacuum_freeze_max_age', 'statement_timeout', 'idle_in_transaction_session_timeout',
                       'idle_session_timeout', 'transaction_timeout', 'default_transaction_read_only', 'synchronous_standby_names')) as settings,
       jsonb_build_object(
         'prefixes', array(select distinct split_part(name, '.', 1) from pg_settings where name ~ '^(rds|cloudsql|azure|neon|supautils)[.]'),
         'roles', array(select rolname::text from pg_roles where rolname in ('rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin', 'neon_superuser', 'supabase_admin')),
         'functions', array(select proname::text from pg_proc where proname = 'aurora_version' and pronamespace = 'pg_catalog'::regnamespace)
       ) as provider_marks,
       (select count(*)::int from pg_replication_slots) as slots_used,
       (select count(*)::int from pg_stat_replication) as wal_senders_used,
       (select count(*)::int from pg_stat_activity where usesysid is not null and coalesce(backend_type, 'client backend') = 'client backend') as sessions_used,
       (select count(*)::int from pg_stat_activity where usename = current_user and backend_type = 'client backend') as role_sessions,
       (select rolconnlimit from pg_roles where rolname = current_user) as role_connection_limit,
       (select datconnlimit from pg_database where datname = current_database()) as database_connection_limit,
       (select count(*)::int from pg_stat_activity where datname = current_database() and usesysid is not null and coalesce(backend_type, 'client backend') = 'client backend') as database_sessions
