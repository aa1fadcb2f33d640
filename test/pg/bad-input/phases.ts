import type { Phase } from '../../../src/migration/phase.ts';
import type { BadInput } from './row.ts';

/** What a verb says in a phase that it does not fit, with what is to be done instead; by verb, then by phase. No daemon runs. */
const WORDS: Readonly<Record<string, string>> = {
  switched: 'switched over already',
  done: 'done',
  aborted: 'aborted',
  failed: 'failed',
  rolled_back: 'rolled back',
};
const phase = (name: Phase): string => WORDS[name] ?? `in phase "${name}"`;

type Refusal = readonly [verb: string, phases: readonly Phase[], hint: string];

const REFUSED: readonly Refusal[] = [
  ['start', ['failed'], 'partitioner abort app.events, then start again'],
  ['pause', ['prepared', 'rolled_back'], 'partitioner status app.events'],
  ['pause', ['switched'], 'partitioner finish app.events'],
  ['pause', ['done', 'aborted'], 'partitioner start app.events'],
  ['pause', ['failed'], 'partitioner abort app.events, then start again'],
  ['resume', ['prepared', 'rolled_back'], 'partitioner status app.events'],
  ['resume', ['switched'], 'partitioner finish app.events'],
  ['resume', ['done', 'aborted'], 'partitioner start app.events'],
  ['resume', ['failed'], 'partitioner abort app.events, then start again'],
  ['verify', ['prepared', 'rolled_back'], 'partitioner status app.events'],
  ['verify', ['switched'], 'partitioner finish app.events'],
  ['verify', ['done', 'aborted'], 'partitioner start app.events'],
  ['verify', ['failed'], 'partitioner abort app.events, then start again'],
  ['cutover', ['prepared', 'rolled_back'], 'partitioner cutover app.events --when-ready'],
  ['cutover', ['switched'], 'partitioner finish app.events'],
  ['cutover', ['done', 'aborted'], 'partitioner start app.events'],
  ['cutover', ['failed'], 'partitioner abort app.events, then start again'],
  ['rollback', ['prepared', 'backfill', 'catchup', 'ready', 'cutover', 'rolled_back'], 'before it, abort takes everything back'],
  ['rollback', ['done', 'aborted'], 'partitioner start app.events'],
  ['rollback', ['failed'], 'partitioner abort app.events, then start again'],
  ['abort', ['switched'], 'after it, finish removes what is left'],
  ['abort', ['done', 'aborted'], 'partitioner start app.events'],
  ['finish', ['prepared', 'backfill', 'catchup', 'ready', 'cutover', 'rolled_back'], 'before it, abort takes everything back'],
  ['finish', ['aborted'], 'partitioner start app.events'],
  ['finish', ['failed'], 'partitioner abort app.events, then start again'],
];

const IN_PHASE = (name: Phase): string => `update partitioner.migration set phase = '${name}'`;

/** Each verb in each phase that it does not fit: exit code 3. `app.events` has a migration whose phase is set for the row. */
const WRONG: readonly BadInput[] = REFUSED.flatMap(([verb, phases, hint]) =>
  phases.map((each) => ({
    name: `${verb} in phase ${each}`,
    args: `${verb} app.events`,
    before: IN_PHASE(each),
    after: IN_PHASE('ready'),
    code: 3,
    error: 'WRONG_PHASE',
    message: `${verb} does not fit: the migration of app.events is ${phase(each)}`,
    hint,
  })),
);

/** What needs a daemon, in each phase that fits: exit code 3, and how to start one. */
const ALONE: readonly BadInput[] = [
  ...(['backfill', 'catchup', 'ready', 'cutover'] as const).flatMap((each) => ['cutover', 'verify'].map((verb) => ({ verb, each }))),
].map(({ verb, each }) => ({
  name: `${verb} without a daemon in phase ${each}`,
  args: `${verb} app.events`,
  before: IN_PHASE(each),
  after: IN_PHASE('ready'),
  code: 3,
  error: 'NO_DAEMON',
  message: 'no daemon runs for app.events',
  hint: 'partitioner start app.events',
}));

const OTHER: readonly BadInput[] = [
  {
    name: 'status of the tables of a configuration file, which have no migration',
    args: 'status --config {dir}/p.yaml',
    files: { 'p.yaml': 'tables: [{ table: app.other, range: at }]' },
    code: 3,
    error: 'WRONG_PHASE',
    message: 'there is no migration of app.other',
    hint: 'partitioner start app.other --range COLUMN --every month',
  },
  {
    name: 'rollback without a way back',
    args: 'rollback app.events',
    before: IN_PHASE('switched'),
    after: IN_PHASE('ready'),
    code: 3,
    error: 'WAY_BACK_CLOSED',
    message: 'there is no way back for app.events: ',
    hint: 'partitioner finish app.events removes what is left',
  },
  ...['status', 'pause', 'resume', 'verify', 'cutover', 'rollback', 'abort', 'finish'].map((verb) => ({
    name: `${verb} of a table without a migration`,
    args: `${verb} app.other`,
    code: 3,
    error: 'WRONG_PHASE',
    message: 'there is no migration of app.other',
    hint: 'partitioner start app.other --range COLUMN --every month',
  })),
  {
    name: 'status of a database without any',
    args: 'status',
    env: { DATABASE_URL: '{empty}' },
    code: 3,
    error: 'WRONG_PHASE',
    message: 'there is no migration in this database',
    hint: 'partitioner start TABLE --range COLUMN',
  },
  {
    name: 'start with another step',
    args: 'start app.events --every day',
    code: 1,
    error: 'USAGE',
    message: '--every day does not fit: the migration of app.events has begun with --every month',
    hint: 'leave --every out to resume it',
  },
  {
    name: 'start with another column',
    args: 'start app.events --range id',
    code: 1,
    error: 'USAGE',
    message: '--range id does not fit: the migration of app.events has begun with --range at',
    hint: 'partitioner abort app.events to begin anew',
  },
  {
    name: 'start with a decision that comes too late',
    args: 'start app.events --decide unique:u=drop',
    code: 1,
    error: 'USAGE',
    message: '--decide unique:u=drop does not fit: the migration of app.events has begun with no decision on it',
    hint: 'leave it out to resume it',
  },
];

export const PHASES_AND_VERBS: readonly BadInput[] = [...WRONG, ...ALONE, ...OTHER];
