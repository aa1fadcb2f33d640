-- The server's clock in microseconds since 2000-01-01 UTC.
select (extract(epoch from now() - timestamptz '2000-01-01 00:00:00+00') * 1000000)::bigint::text as microseconds
