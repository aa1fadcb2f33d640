-- Whether the control schema knows recoveries: an older version has made it otherwise.
select to_regclass('partitioner.recovery') is not null as there;
