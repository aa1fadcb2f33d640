-- Puts a transactional marker into the WAL and flushes it; the applier has passed it when its position is at or past the result.
-- $1::text: content
select pg_logical_emit_message(true, 'partitioner', $1::text)::text as lsn;
