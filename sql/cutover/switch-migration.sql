-- Records the switch, in the transaction that makes it.
-- $1::int: migration  $2::jsonb: receipt
with forgotten as (
  -- Of the source's definition another one is kept when it is the source again.
  delete from partitioner.definition where migration = $1::int
)
update partitioner.migration
set phase = 'switched', waiting = null, receipt = $2::jsonb, updated_at = now(),
    -- What came meanwhile and was left to the switch (src/plan/follow/late.ts) the target has now.
    plan = case when plan ? 'late' then jsonb_set(plan, '{late,isCarried}', 'true') else plan end
where id = $1::int;
