-- prepare: source=partitioner.migration key=created_at
-- Whether a row has no partition key.
select exists (select from only :"source" where :"key" is null) as found;
