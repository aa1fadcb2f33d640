import { parseArgs } from 'node:util';
import { writeFileSync } from 'node:fs';
import { startEmbeddedServer } from '../../../src/demo/embedded-server.ts';
import { buildPackage } from '../../support/partitioner.ts';
import { DEFAULT_MAJOR, TEST_SETTINGS } from '../../support/server.ts';
import { planRound, survive } from './rounds.ts';

/**
 * Migrations under load in which the daemon is killed and PostgreSQL is stopped at random moments:
 *
 *   npm run faults:random -- --kills 200 --stops 50
 *   npm run faults:random -- --seed 417 --rounds 1        the migration of one seed again
 */
const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    stops: { type: 'string', default: '50' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    rounds: { type: 'string', default: 'Infinity' },
    workers: { type: 'string', default: '2' },
    out: { type: 'string' },
  },
});
const PER_ROUND = { kills: 10, stops: 3 };
const program = process.env['FAULTS_PROGRAM'] === undefined ? await buildPackage() : [process.env['FAULTS_PROGRAM']];
const wanted = { kills: Number(values.kills), stops: Number(values.stops) };
const done = { kills: 0, stops: 0, rounds: 0, transactions: 0, chunksAgain: 0, batchesAgain: 0 };
const bad: { seed: number; wrong: readonly string[] }[] = [];
let next = Number(values.seed);

async function work(): Promise<void> {
  const server = await startEmbeddedServer({ major: DEFAULT_MAJOR, settings: TEST_SETTINGS });
  try {
    while ((done.kills < wanted.kills || done.stops < wanted.stops) && done.rounds < Number(values.rounds)) {
      done.rounds++;
      const round = planRound(next++, PER_ROUND);
      const survived = await survive(server, round, program);
      done.kills += survived.kills;
      done.stops += survived.stops;
      done.transactions += survived.transactions;
      done.chunksAgain += survived.copiedAgain;
      done.batchesAgain += survived.appliedAgain;
      if (survived.wrong.length > 0) {
        bad.push({ seed: round.seed, wrong: survived.wrong });
        console.log(`${survived.wrong.join('\n')}\n${survived.log}`);
      }
      console.log(
        `seed ${String(round.seed)}: ${round.route}, ${round.unit}, ${String(survived.kills)} kills, ${String(survived.stops)} stops, ${String(survived.transactions)} transactions: ${survived.wrong.length === 0 ? 'ok' : 'BAD'} (in all ${String(done.kills)} kills, ${String(done.stops)} stops)`,
      );
    }
  } finally {
    await server.stop('immediate');
  }
}

await Promise.all(Array.from({ length: Math.min(Number(values.workers), Number(values.rounds)) }, work));
const report = { postgresql: DEFAULT_MAJOR, firstSeed: Number(values.seed), ...done, bad };
if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(report, null, 1)}\n`);
console.log(JSON.stringify(report));
process.exitCode = bad.length === 0 ? 0 : 1;
