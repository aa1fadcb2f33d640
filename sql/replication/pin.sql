-- Pins on the walsender what changes how the output plugin renders a value as text: a role or the database may have set any of it otherwise.
-- Binary values depend on none of them.
select
  set_config('TimeZone', 'UTC', false),
  set_config('DateStyle', 'ISO, YMD', false),
  set_config('IntervalStyle', 'postgres', false),
  set_config('extra_float_digits', '3', false),
  set_config('bytea_output', 'hex', false),
  set_config('lc_monetary', 'C', false),
  set_config('search_path', '', false),
  set_config('statement_timeout', '0', false),
  set_config('lock_timeout', '0', false),
  set_config('idle_session_timeout', '0', false),
  set_config('idle_in_transaction_session_timeout', '0', false),
  case when current_setting('transaction_timeout', true) is not null then set_config('transaction_timeout', '0', false) end, -- from 17
  -- The slot is not to stay with a client that is gone. (No tcp_user_timeout: it would count the time in which we read nothing because a batch is applied.)
  set_config('tcp_keepalives_idle', '15', false),
  set_config('tcp_keepalives_interval', '5', false),
  set_config('tcp_keepalives_count', '3', false),
  set_config('client_min_messages', 'warning', false);
