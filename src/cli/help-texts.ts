/** What `--help` prints above the verbs. */
export const INTRODUCTION = `Turns a giant, live PostgreSQL table into a partitioned one under the same name.

A daemon copies the rows in slices and follows every change through logical
replication, while the application goes on reading and writing. The switch is
one short lock; until then everything can be undone, and nothing is lost.`;

/** What it prints below them. */
export const STEPS = `
Five steps:
  1. partitioner check   TABLE --range COLUMN --every month    is it possible? what to mend first
  2. partitioner plan    TABLE --range COLUMN --every month    every statement, with its lock
  3. partitioner start   TABLE --range COLUMN --every month    the daemon: copies, follows, reports
  4. partitioner status  TABLE --watch                         wait for the phase "ready"
  5. partitioner cutover TABLE                                 the switch; then: finish
  At any time before step 5: partitioner abort TABLE           takes everything back
  After it, until finish:    partitioner rollback TABLE        switches back

Examples:
  partitioner demo
  export DATABASE_URL=postgres://app@db.example.com/shop
  partitioner check app.events --range created_at --every month
  partitioner start app.events --range id --every 10000000 --jobs 4
  partitioner cutover app.events --when-ready --lock-timeout 100ms
  partitioner start app.events --config partitioner.yaml

Configuration file (--config), the names of the flags that take a value:
  database-url: postgres://app@db.example.com/shop
  jobs: 4
  tables:
    - { table: app.events, range: created_at, every: month }
    - { table: app.orders, range: id, every: 10000000 }

Exit codes:
  0  done
  1  a flag, an argument or the configuration file is wrong
  2  refused: the check found a blocker, or the table changed meanwhile
  3  the verb does not fit the migration's phase, or no daemon runs
  4  PostgreSQL refused a statement, or the connection failed
  5  a lock or the lag was not within its limit; safe to retry
  6  source and target differ
  7  switched, but the command of --after failed
  12 a defect of this tool`;

/** Of the verbs that run `--before` and `--after`. */
export const HOOKS =
  'The commands of --before and --after find PARTITIONER_TABLE, PARTITIONER_MIGRATION and PARTITIONER_PHASE in their environment; what they print goes to stderr.';

/** Verbs that later versions bring: refused with the reason instead of "unknown verb". */
export const VERBS_NOT_YET: Readonly<Record<string, string>> = {
  maintain: 'the verb "maintain" is not there yet: --premake makes leaves ahead, later ones are yours to make',
  archive: 'the verb "archive" is not there yet: an old leaf is detached and exported by you',
};

/** Flags that later versions bring: refused with the reason instead of "unknown option". */
export const FLAGS_NOT_YET: Readonly<Record<string, string>> = {
  list: 'partitioning by LIST is not there yet, only --range is',
  hash: 'partitioning by HASH is not there yet, only --range is',
  modulus: 'partitioning by HASH is not there yet, only --range is',
  'default-partition': 'a DEFAULT partition is not there yet: rows before the first leaf get an edge leaf, later ones are made ahead',
};
