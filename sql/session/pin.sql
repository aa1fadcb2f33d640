-- Pins every setting that changes what a value looks like, what a statement sees or when it is cut off:
-- a role, a database or the server may have set any of them otherwise.
-- $1::text: lock_timeout in milliseconds, 0 means none
-- $2::text: statement_timeout in milliseconds, 0 means none
select
  set_config('TimeZone', 'UTC', false),
  set_config('DateStyle', 'ISO, YMD', false),
  set_config('IntervalStyle', 'postgres', false),
  set_config('extra_float_digits', '3', false),
  set_config('bytea_output', 'hex', false),
  set_config('lc_monetary', 'C', false),
  set_config('xmloption', 'content', false),
  set_config('search_path', '', false),
  set_config('default_tablespace', '', false),
  set_config('row_security', 'off', false),
  set_config('synchronous_commit', 'local', false),
  set_config('default_transaction_isolation', 'read committed', false),
  set_config('default_transaction_read_only', 'off', false),
  set_config('default_transaction_deferrable', 'off', false),
  set_config('idle_in_transaction_session_timeout', '0', false),
  set_config('idle_session_timeout', '0', false),
  case when current_setting('transaction_timeout', true) is not null then set_config('transaction_timeout', '0', false) end, -- from 17
  set_config('quote_all_identifiers', 'off', false), -- else names in the catalog's own text have quotes, and compare as others
  set_config('standard_conforming_strings', 'on', false),
  set_config('array_nulls', 'on', false),
  set_config('transform_null_equals', 'off', false),
  set_config('default_table_access_method', 'heap', false),
  set_config('client_min_messages', 'warning', false),
  set_config('jit', 'off', false),
  set_config('lock_timeout', $1::text, false),
  set_config('statement_timeout', $2::text, false);
