-- prepare: source=public.pg_class_dummy key=id
-- Whether a row has no partition key.
select exists (select from only :"source" where :"key" is null) as found;
