-- prepare: source=pg_catalog.pg_class key=oid
-- The lowest and the highest value of the partition key: two probes of an index, or one pass over the table.
select min(:"key")::text as lowest, max(:"key")::text as highest from only :"source"
