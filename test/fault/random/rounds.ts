import { setTimeout as sleep } from 'node:timers/promises';
import type { EmbeddedServer } from '../../../src/demo/embedded-server.ts';
import { createDatabase } from '../../support/database.ts';
import { randomOf } from '../matrix/cells.ts';
import { travel, type Arrival, type Route, type Stage } from '../matrix/journey.ts';

/** What a seed makes of a migration. */
export interface Round {
  readonly seed: number;
  readonly route: Route;
  readonly unit: 'leaf' | 'table';
  /** What dies, and how long after what died before. */
  readonly deaths: readonly { readonly what: 'daemon' | 'server'; readonly afterMs: number }[];
}

/** The same for the same seed. What the server and the scheduler do besides is theirs. */
export function planRound(seed: number, { kills, stops }: { readonly kills: number; readonly stops: number }): Round {
  const random = randomOf(seed);
  const route = random() < 0.5 ? 'there' : 'there and back';
  const unit = random() < 0.65 ? 'leaf' : 'table';
  const deaths = [...Array<'daemon'>(kills).fill('daemon'), ...Array<'server'>(stops).fill('server')]
    .map((what) => ({ what, at: random(), afterMs: Math.round(250 + 1_800 * random() ** 1.5) }))
    .sort((a, b) => a.at - b.at)
    .map(({ what, afterMs }) => ({ what, afterMs }));
  return { seed, route, unit, deaths };
}

export interface Survived extends Arrival {
  readonly kills: number;
  readonly stops: number;
  /** In which phases of the migration it died. */
  readonly phases: readonly string[];
}

/** One migration under load in which things die at random moments until all of the round have died; then it is left to come to its end. */
export async function survive(server: EmbeddedServer, round: Round, program?: readonly string[], rows = 6_000): Promise<Survived> {
  await using database = await createDatabase({ server: server.url });
  const phases: string[] = [];
  let kills = 0;
  let stops = 0;
  let dying: Promise<void> = Promise.resolve();
  let isOver = false;
  const die = async (stage: Stage): Promise<void> => {
    for (const { what, afterMs } of round.deaths) {
      await sleep(afterMs);
      if (isOver) return;
      phases.push(stage.verb ? `${what} during a verb` : what);
      if (what === 'server') {
        stops++;
        await server.restart({}, 'immediate');
      } else {
        kills++;
        stage.daemon?.signal('SIGKILL');
        stage.proxy.cutAll('daemon');
      }
    }
  };
  const arrival = await travel({
    database,
    route: round.route,
    unit: round.unit,
    rows,
    jobs: 2,
    strikes: round.deaths.length,
    writerPauseMs: 4,
    program,
    prepare: (stage) => {
      dying = die(stage);
      dying.catch(() => undefined);
    },
    // The rest of them would come too late for a small table.
    beforeFinish: () => dying,
  });
  isOver = true;
  await dying;
  const wrong = [...arrival.wrong];
  if (arrival.copiedAgain > 2 * round.deaths.length) wrong.push(`${String(arrival.copiedAgain)} chunks were copied again`);
  if (arrival.appliedAgain > round.deaths.length) wrong.push(`${String(arrival.appliedAgain)} transactions of the applier were done again`);
  return { ...arrival, wrong, kills, stops, phases };
}
