import { isStepText } from '../domain/partition-key.ts';
import { parseDuration, parseSize } from '../domain/quantity.ts';
import type { LimitChanges, LimitName } from '../migration/throttle.ts';
import { parseDecisions, type Decisions } from '../plan/decisions.ts';

/** A setting that a flag (`--every month`) and the configuration file (`every: month`) share. `parse` throws a RangeError that says what is expected. */
export interface Setting<T> {
  readonly placeholder: string;
  readonly help: string;
  readonly parse: (text: string) => T;
  readonly short?: string;
  /** It may be given several times: how two values become one. A list in the configuration file. */
  merge?(first: T, second: T): T;
}

const text = (value: string): string => {
  if (value.trim() === '') throw new RangeError('it is empty');
  return value;
};

const step = (value: string): string => {
  if (!isStepText(value))
    throw new RangeError(`"${value}" is no step: hour, day, week, month, quarter, year, "2 weeks", or a number of values`);
  return value;
};

const integer =
  (least: number, most: number) =>
  (value: string): number => {
    const parsed = Number(value);
    if (!/^\d+$/.test(value.trim()) || parsed < least || parsed > most)
      throw new RangeError(`"${value}" is no whole number from ${least} to ${most}`);
    return parsed;
  };

const oneOf =
  <const T extends string>(...choices: readonly T[]) =>
  (value: string): T => {
    const choice = choices.find((candidate) => candidate === value);
    if (choice === undefined) throw new RangeError(`"${value}" is none of ${choices.join(', ')}`);
    return choice;
  };

const atLeast =
  (least: number, name: string, parse: (text: string) => number) =>
  (value: string): number => {
    const parsed = parse(value);
    if (parsed < least) throw new RangeError(`"${value}" is less than ${name}`);
    return parsed;
  };

export interface HttpAddress {
  readonly host: string;
  readonly port: number;
}

/** `127.0.0.1:9187`, `[::1]:9187`, or `off` (null). */
export function parseHttpAddress(value: string): HttpAddress | null {
  if (value === 'off') return null;
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]+)):(\d{1,5})$/.exec(value);
  const port = Number(match?.[3]);
  if (!match || port > 65535) throw new RangeError(`"${value}" is no HOST:PORT (127.0.0.1:9187, [::1]:9187), nor off`);
  return { host: match[1] ?? match[2]!, port };
}

export const CONNECTION_SETTINGS = {
  'database-url': {
    placeholder: 'URL',
    help: 'postgres://user@host:port/database; without it DATABASE_URL, then PG* variables, .pgpass and PGSERVICE',
    parse: text,
  },
  'log-level': {
    placeholder: 'LEVEL',
    help: 'debug, info, warn, error or silent (default: info for start, else warn)',
    parse: oneOf('debug', 'info', 'warn', 'error', 'silent'),
  },
} satisfies Record<string, Setting<unknown>>;

export const PARTITION_SETTINGS = {
  range: { placeholder: 'COLUMN', help: 'partition by ranges of this column: timestamptz, timestamp, date or integer', parse: text },
  every: {
    placeholder: 'STEP',
    help: 'hour, day, week, month, quarter, year, "2 weeks", or a number for an integer column (default: month)',
    parse: step,
  },
  from: { placeholder: 'VALUE', help: 'first bound; older rows go into one edge leaf (default: the oldest row)', parse: text },
  premake: { placeholder: 'N', help: 'leaves made ahead of the newest (default: 3)', parse: integer(0, 1000) },
  unit: {
    placeholder: 'KIND',
    help: 'leaf (key ranges) or table (block ranges): how the rows are read (default: chosen from the statistics)',
    parse: oneOf('leaf', 'table'),
  },
  decide: {
    placeholder: 'KIND:NAME=CHOICE',
    help: 'what becomes of an object that cannot stay as it is; check prints what is to be decided; may be repeated',
    parse: (value: string): Decisions => parseDecisions([value]),
    merge: (first: Decisions, second: Decisions): Decisions => ({ ...first, ...second }),
  },
  'chunk-size': {
    placeholder: 'SIZE',
    help: 'rows are copied in slices of about this size (default: 128MB)',
    parse: atLeast(65536, '64kB', parseSize),
  },
} satisfies Record<string, Setting<unknown>>;

export const START_SETTINGS = {
  http: {
    placeholder: 'HOST:PORT|off',
    help: 'address of the dashboard and the metrics (default: 127.0.0.1:9187)',
    parse: parseHttpAddress,
  },
  'http-token-file': {
    placeholder: 'FILE',
    help: 'its first line is the bearer token that pause and resume over HTTP need; or PARTITIONER_HTTP_TOKEN (default: neither is taken)',
    parse: text,
  },
  'way-back-wal': {
    placeholder: 'SIZE',
    help: 'after the cutover: close the way back when its slot retains more WAL than this (default: 64GB)',
    parse: atLeast(1, '1 byte', parseSize),
  },
  jobs: { placeholder: 'N', help: 'copy streams, and ranges that are verified at a time (default: 2)', parse: integer(1, 64) },
  'verify-rate': {
    placeholder: 'SIZE',
    help: 'the verification reads no more than this a second, on either side (default: no limit)',
    parse: atLeast(1024, '1kB', parseSize),
  },
  'chunk-time': {
    placeholder: 'DURATION',
    help: 'a slice of rows is cut so that copying it takes no longer than about this (default: 5s)',
    parse: atLeast(100, '100ms', parseDuration),
  },
} satisfies Record<string, Setting<unknown>>;

/** `off` is null: no limit. */
const orOff =
  (parse: (text: string) => number) =>
  (value: string): number | null => {
    if (value === 'off') return null;
    try {
      return parse(value);
    } catch (error) {
      throw error instanceof RangeError ? new RangeError(`${error.message}, or off`) : error;
    }
  };

/** Of `start` and `throttle`. From three quarters of a limit on the copy goes on half of the time, at the limit it is held. */
export const LIMIT_SETTINGS = {
  'max-slot-wal': {
    placeholder: 'SIZE|off',
    help: 'hold the copy while the slot retains more WAL than this (default: 64GB)',
    parse: orOff(atLeast(1, '1 byte', parseSize)),
  },
  'drop-slot-wal': {
    placeholder: 'SIZE|off',
    help: 'drop the slot when it retains more WAL than this, to save the disk; `resume` then recovers (default: off)',
    parse: orOff(atLeast(1, '1 byte', parseSize)),
  },
  'max-replay-lag': {
    placeholder: 'DURATION|off',
    help: 'hold the copy while a standby replays later than this (default: off)',
    parse: orOff(atLeast(1, '1ms', parseDuration)),
  },
  'max-sessions': {
    placeholder: 'N|off',
    help: 'hold the copy while more sessions of others than this work (default: off)',
    parse: orOff(integer(1, 1_000_000)),
  },
  'max-wal-rate': {
    placeholder: 'SIZE|off',
    help: 'hold the copy while the server writes more WAL than this a second (default: off)',
    parse: orOff(atLeast(1, '1 byte', parseSize)),
  },
  'max-commit-latency': {
    placeholder: 'DURATION|off',
    help: 'hold the copy while a small commit, tried once a second, takes longer than this (default: off)',
    parse: orOff(atLeast(1, '1ms', parseDuration)),
  },
  'copy-rate': {
    placeholder: 'SIZE|off',
    help: 'copy no more than this a second (default: off)',
    parse: orOff(atLeast(1024, '1kB', parseSize)),
  },
} satisfies Record<LimitName, Setting<number | null>>;

/** The limits among the settings; null takes one away. */
export function limitsOf(settings: SettingValues): LimitChanges {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => name in LIMIT_SETTINGS));
}

export const CUTOVER_SETTINGS = {
  'lock-timeout': {
    placeholder: 'DURATION',
    help: 'give a lock up after this wait and try again later (default: 200ms)',
    parse: atLeast(1, '1ms', parseDuration),
  },
  'max-lock-hold': {
    placeholder: 'DURATION',
    help: 'undo the attempt when the lock would be held for longer (default: 1s)',
    parse: atLeast(1, '1ms', parseDuration),
  },
  attempts: { placeholder: 'N', help: 'attempts before it gives up (default: 60)', parse: integer(1, 100_000) },
  before: {
    placeholder: 'COMMAND',
    help: 'run by the shell here, just before the cutover is asked for; if it fails, nothing is switched (exit code 1); not with --dry-run',
    parse: text,
  },
  after: {
    placeholder: 'COMMAND',
    help: 'run by the shell here once the switch is committed, with the receipt in PARTITIONER_RECEIPT; if it fails, the exit code is 7; not with --dry-run',
    parse: text,
  },
} satisfies Record<string, Setting<unknown>>;

/** Those of the switch back: it has no rehearsal. */
export const ROLLBACK_SETTINGS = {
  ...CUTOVER_SETTINGS,
  before: {
    ...CUTOVER_SETTINGS.before,
    help: 'run by the shell here, just before the rollback is asked for; if it fails, nothing is switched (exit code 1)',
  },
  after: {
    ...CUTOVER_SETTINGS.after,
    help: 'run by the shell here once the switch back is committed, with the receipt in PARTITIONER_RECEIPT; if it fails, the exit code is 7',
  },
} satisfies Record<keyof typeof CUTOVER_SETTINGS, Setting<unknown>>;

/** Every setting that the configuration file may hold. */
export const ALL_SETTINGS = { ...CONNECTION_SETTINGS, ...PARTITION_SETTINGS, ...START_SETTINGS, ...LIMIT_SETTINGS, ...CUTOVER_SETTINGS };

type Values<G extends Record<string, Setting<unknown>>> = { -readonly [K in keyof G]?: ReturnType<G[K]['parse']> };

/** Values of settings under their names; absent means not given. */
export type SettingValues = Values<typeof ALL_SETTINGS>;
export type SettingName = keyof typeof ALL_SETTINGS;

/** Settings of one table rather than of the connection. */
export const TABLE_SETTINGS = { ...PARTITION_SETTINGS, ...START_SETTINGS, ...LIMIT_SETTINGS, ...CUTOVER_SETTINGS };
