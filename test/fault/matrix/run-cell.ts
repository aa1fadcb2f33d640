import type { EmbeddedServer } from '../../../src/demo/embedded-server.ts';
import { connect } from '../../../src/pg/client.ts';
import { createDatabase } from '../../support/database.ts';
import type { Action, Strike } from '../../support/fault-proxy.ts';
import type { Cell, Fault } from './cells.ts';
import { travel, type Arrival, type Stage } from './journey.ts';

/** How a cell has ended. */
export interface Outcome {
  readonly cell: string;
  readonly phase: string;
  readonly place: string;
  readonly fault: Fault;
  readonly moment: string;
  /** `resumed` by a new process, `went on` in the same one; anything else is a defect, and says what is wrong. */
  readonly outcome: string;
  /** The statement that was struck, or the first one. */
  readonly statement: string;
  readonly strikes: number;
  /** Cells with the same number were struck one after the other in one migration, and share what follows. */
  readonly migration: number;
  readonly chunksAgain: number;
  readonly batchesAgain: number;
  readonly transactions: number;
}

export interface Options {
  readonly server: EmbeddedServer;
  readonly program?: readonly string[] | undefined;
  /** How long the network is away or stands still. */
  readonly outageMs: number;
  readonly migration: number;
}

const ROWS = 2_500;
const JOBS = 2;
/** The daemon asks after a session that has been silent for so long. */
const SILENCE = ['keepalives_idle=1', 'connect_timeout=3'];

/** The cells of one migration: of the same route and unit, in the order in which their places come. */
export async function runCells(cells: readonly Cell[], options: Options): Promise<{ readonly outcomes: Outcome[]; readonly log: string }> {
  await using database = await createDatabase({ server: options.server.url });
  const { route, unit } = cells[0]!.place;
  // A second SIGTERM would end it at once.
  const orders = cells.flatMap((cell) =>
    cell.place.occurrences.slice(0, cell.fault === 'SIGTERM' ? 1 : undefined).map((occurrence) => ({ cell, occurrence })),
  );
  const strikes = new Map<Cell, Strike[]>(cells.map((cell) => [cell, []]));
  let at = 0;
  let isReady = false;
  const arm = (stage: Stage): void => {
    const order = orders[at];
    if (!order || (order.cell.place.whenReady === true && !isReady)) return;
    const { cell, occurrence } = order;
    const { session, statement } = cell.place;
    stage.proxy.arm(
      { session, statement, occurrence, moment: cell.moment },
      (strike) => actionOf(cell.fault, strike, stage, options),
      (strike) => {
        strikes.get(cell)!.push(strike);
        at++;
        arm(stage);
      },
    );
  };
  const arrival = await travel({
    database,
    route,
    unit,
    rows: ROWS,
    jobs: JOBS,
    strikes: orders.length,
    outageMs: options.outageMs,
    program: options.program,
    parameters: SILENCE,
    prepare: arm,
    onReady: (stage) => {
      isReady = true;
      // What was to be struck on the way and never came is struck no more.
      while (orders[at] && orders[at]!.cell.place.whenReady !== true) at++;
      arm(stage);
      return Promise.resolve();
    },
  });
  const wrong = judge(cells, strikes, arrival);
  const outcomes = cells.map((cell) => outcomeOf(cell, strikes.get(cell)!, wrong, arrival, options.migration));
  return { outcomes, log: wrong.length > 0 ? `${arrival.verbs.join('\n')}\n${arrival.log}` : '' };
}

/** Whether the outcome is one of those that are meant. */
export function isGood({ outcome }: Outcome): boolean {
  return outcome === 'resumed' || outcome === 'went on';
}

function outcomeOf(cell: Cell, strikes: readonly Strike[], wrong: readonly string[], arrival: Arrival, migration: number): Outcome {
  const { place, fault, moment } = cell;
  const isEnding = fault === 'kill' || fault === 'SIGTERM';
  const good = isEnding ? 'resumed' : 'went on';
  return {
    cell: cell.name,
    phase: place.phase,
    place: place.name,
    fault,
    moment,
    outcome: strikes.length === 0 ? 'never reached' : wrong.length > 0 ? wrong.join('; ') : good,
    statement: strikes[0]?.statement.slice(0, 100) ?? '',
    strikes: strikes.length,
    migration,
    chunksAgain: arrival.copiedAgain,
    batchesAgain: arrival.appliedAgain,
    transactions: arrival.transactions,
  };
}

/** What must hold besides that every row is there. */
function judge(cells: readonly Cell[], strikes: ReadonlyMap<Cell, readonly Strike[]>, arrival: Arrival): string[] {
  const wrong = [...arrival.wrong];
  const { ends, chunks, copiedAgain, appliedAgain, transactions } = arrival;
  const of = (...faults: Fault[]): number =>
    cells
      .filter(({ fault }) => faults.includes(fault))
      .reduce((sum, cell) => sum + strikes.get(cell)!.filter(({ by }) => by === 'daemon').length, 0);
  const all = [...strikes.values()].reduce((sum, each) => sum + each.length, 0);
  if (transactions < 5) wrong.push(`the application wrote ${String(transactions)} transactions`);
  if (ends.some((code) => code !== null && code !== 0)) wrong.push(`the daemon ended by itself: ${ends.join(', ')}`);
  // The last one ends by itself, or is killed when everything is over.
  if (ends.slice(0, -1).filter((code) => code === 0).length > of('SIGTERM'))
    wrong.push(`the daemon ended with 0 unasked: ${ends.join(', ')}`);
  if (ends.slice(0, -1).filter((code) => code === null).length > of('kill'))
    wrong.push(`the daemon was killed unasked: ${ends.join(', ')}`);
  // A copier has one chunk in work. In an abort the chunks are gone with the migration, and cannot be counted.
  if (chunks > 0 && copiedAgain > JOBS * all) wrong.push(`${String(copiedAgain)} chunks of ${String(chunks)} were copied again`);
  if (chunks > 0 && appliedAgain > all) wrong.push(`${String(appliedAgain)} transactions of the applier were done again`);
  return wrong;
}

function actionOf(fault: Fault, { by }: Strike, stage: Stage, { server, outageMs }: Options): Action {
  const victim = by === 'verb' ? stage.verb! : stage.daemon!;
  switch (fault) {
    case 'kill':
      return {
        kind: 'strike',
        strike: () => {
          victim.signal('SIGKILL');
          stage.proxy.cutAll(by);
          return Promise.resolve();
        },
      };
    case 'SIGTERM':
      return {
        kind: 'strike',
        strike: () => {
          victim.signal('SIGTERM');
          return Promise.resolve();
        },
      };
    case 'terminate':
      return { kind: 'strike', strike: (pid) => terminate(server, pid) };
    case 'server crash':
      return { kind: 'strike', strike: () => server.restart({}, 'immediate') };
    case 'cut':
      return { kind: 'cut' };
    case 'half-open':
      return { kind: 'half-open', serverNoticesMs: 60_000 };
    case 'partition':
      return { kind: 'partition', ms: outageMs };
    case 'stall':
      return { kind: 'stall', ms: outageMs };
    case 'slow':
      return { kind: 'slow', ms: 4, forMs: outageMs };
  }
}

async function terminate({ settings }: EmbeddedServer, pid: number): Promise<void> {
  const admin = await connect(settings, { applicationName: 'test' });
  try {
    await admin.query('select pg_terminate_backend($1)', [pid]);
    for (;;) {
      const { rows } = await admin.query<{ there: boolean }>('select exists (select from pg_stat_activity where pid = $1) as there', [pid]);
      if (!rows[0]!.there) return;
    }
  } finally {
    await admin.end();
  }
}
