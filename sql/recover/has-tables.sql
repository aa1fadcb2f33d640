-- Whether the control schema knows recoveries and limits: an older version has made it otherwise.
select to_regclass('partitioner.recovery') is not null and to_regclass('partitioner.throttle') is not null as there;
