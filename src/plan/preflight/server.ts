import { blocker, passed, unread, warning, type Finding } from './finding.ts';
import { describeProvider, settingFix, walLevelFix, type Provider } from './provider.ts';

/** What the server says of itself: sql/preflight/server.sql. */
export interface ServerFacts {
  readonly versionNum: number;
  readonly version: string;
  readonly inRecovery: boolean;
  readonly database: string;
  readonly encoding: string;
  /** pg_settings.setting, in each setting's own unit. A setting that the version lacks is missing. */
  readonly settings: Readonly<Record<string, string>>;
  readonly provider: Provider | null;
  readonly slotsUsed: number;
  readonly walSendersUsed: number;
  readonly sessionsUsed: number;
  readonly roleSessions: number;
  /** -1 means no limit. */
  readonly roleConnectionLimit: number;
  readonly databaseSessions: number;
  readonly databaseConnectionLimit: number;
}

/** Whether a migration of this table is open already, and so whether it has its slot and its connections. */
export interface OpenMigration {
  readonly id: number;
  readonly phase: string;
  readonly publicationName: string;
}

const OLDEST = 14;
const NEWEST = 18;
/** Forks that speak PostgreSQL's protocol, and lack its logical decoding or its heap. */
const FORKS = /CockroachDB|-YB-|YugabyteDB|Greenplum|Redshift|Materialize|QuestDB/i;

export function decideVersion({ versionNum, version, inRecovery, database, provider }: ServerFacts): Finding[] {
  const major = Math.floor(versionNum / 10_000);
  const fork = FORKS.exec(version)?.[0];
  return [
    fork !== undefined
      ? blocker('server-version', database, `the server is not PostgreSQL: ${version}`)
      : major < OLDEST || major > NEWEST
        ? blocker('server-version', database, `PostgreSQL ${major} is not supported: ${OLDEST} to ${NEWEST} are`)
        : passed('server-version', database, `PostgreSQL ${major}${describeProvider(provider)} (${OLDEST} to ${NEWEST} are supported)`),
    inRecovery
      ? blocker('server-primary', database, 'the server is a standby (in recovery): a primary is needed')
      : passed('server-primary', database, 'the server is a primary'),
  ];
}

export function decideWal({ settings, provider, slotsUsed, walSendersUsed }: ServerFacts, open: OpenMigration | null): Finding[] {
  const level = settings.wal_level ?? 'unknown';
  return [
    level === 'logical'
      ? passed('wal-level', 'wal_level', 'wal_level is logical')
      : blocker('wal-level', 'wal_level', `wal_level is ${level}: logical is needed`, walLevelFix(provider)),
    decideFree('replication-slots', 'max_replication_slots', slotsUsed, settings.max_replication_slots, open, provider),
    decideFree('wal-senders', 'max_wal_senders', walSendersUsed, settings.max_wal_senders, open, provider),
  ];
}

/** A migration that is open counts among the used ones: it has its own. */
function decideFree(
  id: 'replication-slots' | 'wal-senders',
  setting: string,
  used: number,
  limit: string | undefined,
  open: OpenMigration | null,
  provider: Provider | null,
): Finding {
  const message = `${used} of ${setting} = ${limit ?? '?'} are used`;
  if (limit === undefined) return unread(id, setting, `${setting} is not shown`);
  const free = Number(limit) - used;
  if (free > 1 || open !== null) return passed(id, setting, message);
  if (free === 1) {
    return warning(
      id,
      setting,
      `${message}: one is free, the cutover needs a second one for its way back, or --no-way-back`,
      settingFix(provider, setting, String(Number(limit) + 1), true),
    );
  }
  const wanted = Math.max(Number(limit), used) + 2;
  return blocker(id, setting, `${message}: one more is needed`, settingFix(provider, setting, String(wanted), true));
}

/** The setting is in megabytes. */
export function decideSlotLimits({ settings, provider }: ServerFacts, tableBytes: number): Finding[] {
  const keepMb = Number(settings.max_slot_wal_keep_size ?? -1);
  const wantedMb = Math.min(Math.max(1024, Math.ceil(tableBytes / 1_048_576)), 65_536);
  const idle = settings.idle_replication_slot_timeout;
  return [
    keepMb === -1
      ? passed('slot-wal-limit', 'max_slot_wal_keep_size', 'max_slot_wal_keep_size is off: WAL is kept for as long as the slot needs it')
      : keepMb >= wantedMb
        ? passed('slot-wal-limit', 'max_slot_wal_keep_size', `max_slot_wal_keep_size is ${keepMb} MB, at least ${wantedMb} MB is advised`)
        : warning(
            'slot-wal-limit',
            'max_slot_wal_keep_size',
            `max_slot_wal_keep_size is ${keepMb} MB: at least ${wantedMb} MB is advised for this table`,
            settingFix(
              provider,
              'max_slot_wal_keep_size',
              provider === null || provider === 'supabase' ? `${wantedMb}MB` : String(wantedMb),
              false,
            ),
          ),
    provider === 'neon'
      ? warning(
          'slot-idle-limit',
          'Neon',
          'Neon removes a slot that was not used for about 40 hours, when others are: the daemon must not be stopped for longer',
          'start the daemon again within a day',
        )
      : idle === undefined || Number(idle) === 0
        ? passed('slot-idle-limit', 'idle_replication_slot_timeout', 'idle slots are kept')
        : warning(
            'slot-idle-limit',
            'idle_replication_slot_timeout',
            `idle_replication_slot_timeout is ${idle} (server's unit): a daemon that is stopped for longer loses its slot`,
          ),
  ];
}

const SMALL_TIMEOUT_MS = 10_000;

export function decideTimeouts({ settings, database, provider }: ServerFacts): Finding[] {
  const sender = Number(settings.wal_sender_timeout ?? 0);
  const cutting = ['statement_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout'].filter(
    (name) => Number(settings[name] ?? 0) > 0,
  );
  return [
    sender === 0 || sender >= SMALL_TIMEOUT_MS
      ? passed(
          'wal-sender-timeout',
          'wal_sender_timeout',
          sender === 0 ? 'wal_sender_timeout is off' : `wal_sender_timeout is ${sender} ms`,
        )
      : warning(
          'wal-sender-timeout',
          'wal_sender_timeout',
          `wal_sender_timeout is ${sender} ms: at least ${SMALL_TIMEOUT_MS} ms is advised`,
          settingFix(provider, 'wal_sender_timeout', '60000', false),
        ),
    cutting.length === 0
      ? passed('session-limits', database, 'no timeout of the server cuts our sessions')
      : warning(
          'session-limits',
          database,
          `still on in our sessions: ${cutting.map((name) => `${name} = ${settings[name]!} ms`).join(', ')}`,
          cutting.map((name) => `ALTER ROLE CURRENT_USER SET ${name} = 0;`).join(' '),
        ),
  ];
}

const CONNECTIONS_WANTED = 10;

export function decideConnections(facts: ServerFacts, open: OpenMigration | null): Finding {
  const { settings, database } = facts;
  const reserved = Number(settings.superuser_reserved_connections ?? 0) + Number(settings.reserved_connections ?? 0);
  const limits = [
    { name: 'max_connections', free: Number(settings.max_connections ?? 0) - reserved - facts.sessionsUsed },
    ...(facts.roleConnectionLimit < 0
      ? []
      : [{ name: "the role's CONNECTION LIMIT", free: facts.roleConnectionLimit - facts.roleSessions }]),
    ...(facts.databaseConnectionLimit < 0
      ? []
      : [{ name: "the database's CONNECTION LIMIT", free: facts.databaseConnectionLimit - facts.databaseSessions }]),
  ].sort((a, b) => a.free - b.free);
  const { name, free } = limits[0]!;
  return free >= CONNECTIONS_WANTED || open !== null
    ? passed('free-connections', database, `${free} connections are free`)
    : warning(
        'free-connections',
        database,
        `${Math.max(0, free)} connections are free (${name}): the daemon needs about ${CONNECTIONS_WANTED}`,
      );
}

/** Locks on one leaf: the table, its TOAST table with its index, and each index. */
const LOCKS_BESIDE_INDEXES = 3;

/** How many locks the shared lock table has room for: NLOCKENTS() in the server's lock.c. */
export function computeLockCapacity(settings: Readonly<Record<string, string>>): number {
  const number = (name: string): number => Number(settings[name] ?? 0);
  const backends =
    number('max_connections') +
    (settings.autovacuum_worker_slots === undefined ? number('autovacuum_max_workers') : number('autovacuum_worker_slots')) +
    number('max_worker_processes') +
    number('max_wal_senders') +
    1;
  return number('max_locks_per_transaction') * (backends + number('max_prepared_transactions'));
}

export function decideLockTable({ settings, provider }: ServerFacts, leaves: number, indexes: number): Finding {
  const capacity = computeLockCapacity(settings);
  const making = leaves * (LOCKS_BESIDE_INDEXES + indexes);
  const scanning = leaves * (1 + indexes);
  const object = 'max_locks_per_transaction';
  const room = `the lock table holds ${capacity}`;
  const perTransaction = Number(settings.max_locks_per_transaction ?? 64);
  const raise = (needed: number): string =>
    `a larger --every, or ${settingFix(provider, 'max_locks_per_transaction', String(Math.ceil((perTransaction * needed) / Math.max(capacity, 1) / 64) * 64), true)}`;
  if (making > capacity * 0.9) {
    return blocker(
      'lock-table',
      object,
      `${leaves} leaves with ${indexes} indexes each take ${making} locks when they are made: ${room}`,
      raise(making / 0.8),
    );
  }
  // Ten sessions that each lock every leaf: PostgreSQL then fails statements with "out of shared memory".
  if (scanning * 10 > capacity) {
    return warning(
      'lock-table',
      object,
      `a statement that names no range of the partition column takes ${scanning} locks (${leaves} leaves, ${indexes} indexes each): ${room}, enough for ${Math.floor(capacity / scanning)} such statements at a time`,
      raise(scanning * 10),
    );
  }
  return passed('lock-table', object, `${leaves} leaves with ${indexes} indexes each: ${making} locks, ${room}`);
}

/** Must be the same before and after: names in a database that is not UTF8. */
export function decideEncoding({ encoding, database }: ServerFacts, names: readonly string[]): Finding {
  const foreign = [...new Set(names)].filter((name) => !/^[\x00-\x7f]*$/.test(name));
  return encoding === 'UTF8' || foreign.length === 0
    ? passed('names-encoding', database, `the database encoding is ${encoding}`)
    : blocker('names-encoding', foreign[0]!, `the database encoding is ${encoding}, and names are outside ASCII: ${foreign.join(', ')}`);
}
