-- The transaction that this session is in: whether it has committed can be asked for by it when the session is cut.
select pg_current_xact_id()::text as xid;
