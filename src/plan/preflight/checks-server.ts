import type { CheckDefinition } from './check-definition.ts';

/** What is asked of the server. */
export const SERVER_CHECKS = {
  'direct-connection': {
    worst: 'blocker',
    title: 'the connection goes to the server itself',
    why: 'A transaction pooler hands each statement to another server session: the session settings that keep values exact, the advisory lock that keeps a second daemon out and LISTEN do not survive it.',
    fix: 'Connect to PostgreSQL directly, on its own port.',
  },
  'server-version': {
    worst: 'blocker',
    title: 'the server is PostgreSQL 14 to 18',
    why: 'The statements, the catalog reads and the decoding are tested on these major versions only.',
    fix: 'Upgrade the server, or use a release of data-partitioner that names its version.',
  },
  'server-primary': {
    worst: 'blocker',
    title: 'the server is a primary',
    why: 'A standby cannot be written.',
    fix: 'Connect to the primary.',
  },
  'wal-level': {
    worst: 'blocker',
    title: 'wal_level is logical',
    why: 'The changes that are made during the backfill are read out of the WAL, which holds them only at wal_level logical.',
    fix: "ALTER SYSTEM SET wal_level = 'logical'; and a restart (RDS, Aurora: rds.logical_replication = 1; Cloud SQL: cloudsql.logical_decoding = on; Azure: wal_level = LOGICAL; Neon: Logical Replication in the project's settings). The finding says where the service that runs the server keeps the setting.",
  },
  'replication-slots': {
    worst: 'blocker',
    title: 'a replication slot is free',
    why: 'The migration keeps its place in the WAL in a slot of its own. A warning when one is free: the cutover needs a second one for the way back, unless it is made with --no-way-back.',
    fix: "Drop a slot that is no longer used (SELECT pg_drop_replication_slot('name');), or raise max_replication_slots and restart.",
  },
  'wal-senders': {
    worst: 'blocker',
    title: 'a WAL sender is free',
    why: 'The change stream needs a WAL sender process. A warning when one is free: the stream of the way back begins beside it, unless the cutover is made with --no-way-back.',
    fix: 'Raise max_wal_senders and restart, or end a replication connection that is no longer used.',
  },
  'replication-connection': {
    worst: 'blocker',
    title: 'a replication connection can be opened',
    why: 'The change stream comes over a connection in replication mode, which pg_hba.conf, the role and what stands in between must let through. It is tried, not guessed.',
    fix: 'Add the line that the finding prints to pg_hba.conf, then SELECT pg_reload_conf();',
  },
  'slot-wal-limit': {
    worst: 'warning',
    title: 'max_slot_wal_keep_size leaves room',
    why: 'When the slot falls further behind than this, PostgreSQL drops the WAL that it needs. The slot is then made anew and everything is compared with the source, which reads both tables once more.',
    fix: "ALTER SYSTEM SET max_slot_wal_keep_size = '…'; SELECT pg_reload_conf();",
  },
  'slot-idle-limit': {
    worst: 'warning',
    title: 'idle_replication_slot_timeout is off',
    why: 'PostgreSQL 18 invalidates a slot that was not used for this long: the daemon must not be stopped for longer. Neon removes such slots in every version.',
    fix: 'ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();',
  },
  'wal-sender-timeout': {
    worst: 'warning',
    title: 'wal_sender_timeout is not tiny',
    why: 'The server ends a replication connection that it has not heard from for this long; a slow network or a busy machine then breaks the stream again and again.',
    fix: "ALTER SYSTEM SET wal_sender_timeout = '60s'; SELECT pg_reload_conf();",
  },
  'synchronous-standbys': {
    worst: 'warning',
    title: 'the change stream is no synchronous standby',
    why: "PostgreSQL counts every WAL sender whose application_name is in synchronous_standby_names, or any for '*', as a synchronous standby, those of logical replication too. The application's commits then wait for the daemon, or are confirmed by it while no standby has them.",
    fix: "ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (standby1, standby2)'; SELECT pg_reload_conf();",
  },
  'session-limits': {
    worst: 'warning',
    title: 'no timeout of the server cuts our sessions',
    why: 'Each session turns its timeouts off; one that stays on ends long copies or idle sessions.',
    fix: 'ALTER ROLE … SET transaction_timeout = 0; (the setting that the finding names)',
  },
  'lock-table': {
    worst: 'blocker',
    title: 'the lock table holds a lock for each leaf and index',
    why: 'The transaction that makes the leaves, and each statement that PostgreSQL cannot prune to some leaves, takes a lock on every leaf and on every index of it.',
    fix: 'Fewer leaves (a larger --every), or ALTER SYSTEM SET max_locks_per_transaction = …; and a restart.',
  },
  'free-connections': {
    worst: 'warning',
    title: 'connections are free',
    why: 'The daemon holds about ten connections: copying, indexing, applying, commands.',
    fix: 'Raise max_connections, or the CONNECTION LIMIT of the role or database.',
  },
  'prepared-transactions': {
    worst: 'warning',
    title: 'no prepared transaction is left open',
    why: 'The creation of the slot waits for every transaction that is in progress anywhere in the cluster, prepared ones too.',
    fix: "COMMIT PREPARED 'gid'; or ROLLBACK PREPARED 'gid';",
  },
  'long-transactions': {
    worst: 'warning',
    title: 'no transaction runs for long',
    why: 'The creation of the slot waits for every transaction that is in progress, and the cutover for those that touch the table.',
    fix: 'Let it end, or SELECT pg_terminate_backend(pid);',
  },
  'event-triggers': {
    worst: 'warning',
    title: 'no event trigger is enabled',
    why: 'Event triggers run on each DDL statement of the migration: one that refuses or changes DDL breaks it.',
    fix: 'Look at what the function does; if it must not run: ALTER EVENT TRIGGER name DISABLE; until the migration has ended.',
  },
} as const satisfies Record<string, CheckDefinition>;
