-- How long a session waits for a lock before it looks for a deadlock, in milliseconds; whoever finds one first is given up.
select setting::int as ms from pg_settings where name = 'deadlock_timeout'
