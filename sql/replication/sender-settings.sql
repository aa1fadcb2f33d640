-- What the walsender's session has to be kept alive against, in milliseconds (0 means never), and the server's version number.
select
  (select setting::integer from pg_catalog.pg_settings where name = 'wal_sender_timeout') as timeout_ms,
  pg_catalog.current_setting('server_version_num')::integer as version;
