import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { startEmbeddedServer, type EmbeddedServer } from '../../../src/demo/embedded-server.ts';
import { buildPackage } from '../../support/partitioner.ts';
import { DEFAULT_MAJOR, TEST_SETTINGS } from '../../support/server.ts';
import { bundles, CELLS, sample, type Cell } from './cells.ts';
import { isGood, runCells, type Outcome } from './run-cell.ts';

/**
 * The whole matrix, or a part of it:
 *
 *   npm run faults                                     every cell; writes docs/faults.json, of which `npm run docs` makes docs/faults.md
 *   npm run faults -- --only 'index build' --out x     cells whose names match
 *   npm run faults -- --sample 40 --seed 7 --out x
 *   npm run faults -- --keep                           what is good in the file is not run again
 */
const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    sample: { type: 'string' },
    seed: { type: 'string', default: '1' },
    out: { type: 'string', default: new URL('../../../docs/faults.json', import.meta.url).pathname },
    workers: { type: 'string', default: '2' },
    bundle: { type: 'string', default: '7' },
    outage: { type: 'string', default: '4000' },
    keep: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});
const wanted = values.only === undefined ? CELLS : CELLS.filter(({ name }) => new RegExp(values.only!).test(name));
const cells = values.sample === undefined ? wanted : sample(wanted, Number(values.sample), Number(values.seed));
// A package that is built already: what is changed meanwhile is not to be struck.
const program = process.env['FAULTS_PROGRAM'] === undefined ? await buildPackage() : [process.env['FAULTS_PROGRAM']];
const outcomes = new Map<string, Outcome>();
let migrations = 0;
if (values.keep && existsSync(values.out)) {
  const { cells: before } = JSON.parse(readFileSync(values.out, 'utf8')) as { cells: Outcome[] };
  for (const outcome of before.filter(isGood)) outcomes.set(outcome.cell, outcome);
  migrations = Math.max(0, ...before.map(({ migration }) => migration));
}

function save(): void {
  const found = cells.map(({ name }) => outcomes.get(name)).filter((outcome) => outcome !== undefined);
  const notRun = cells.map(({ name }) => name).filter((name) => !outcomes.has(name));
  writeFileSync(values.out, `${JSON.stringify({ postgresql: DEFAULT_MAJOR, cells: found, notRun }, null, 1)}\n`);
}

async function work(server: EmbeddedServer, queue: Cell[][], isLast: boolean): Promise<void> {
  for (let bundle = queue.shift(); bundle; bundle = queue.shift()) {
    const begun = Date.now();
    const run = await runCells(bundle, { server, program, outageMs: Number(values.outage), migration: ++migrations });
    const seconds = `${((Date.now() - begun) / 1000).toFixed(0)} s`;
    for (const outcome of run.outcomes) {
      outcomes.set(outcome.cell, outcome);
      const state = isGood(outcome) ? 'ok   ' : isLast ? 'BAD  ' : 'again';
      save();
      console.log(
        `${String(outcomes.size)}/${String(cells.length)} ${state} ${String(outcome.migration)} ${outcome.cell}: ${outcome.outcome} (${seconds})`,
      );
    }
    if (values.verbose && run.log !== '') console.log(run.log.replaceAll(/^/gm, '    '));
  }
}

const servers = await Promise.all(
  Array.from({ length: Number(values.workers) }, () => startEmbeddedServer({ major: DEFAULT_MAJOR, settings: TEST_SETTINGS })),
);
try {
  const first = bundles(
    cells.filter(({ name }) => !outcomes.has(name)),
    Number(values.bundle),
  );
  await Promise.all(servers.map((server) => work(server, first, false)));
  // Each by itself: what another cell of its migration has hidden, or has done to it.
  const second = cells.filter(({ name }) => !isGood(outcomes.get(name)!)).map((cell) => [cell]);
  await Promise.all(servers.map((server) => work(server, second, true)));
} finally {
  await Promise.all(servers.map((server) => server.stop('immediate')));
}
const found = cells.map(({ name }) => outcomes.get(name)!);
save();
const bad = found.filter((outcome) => !isGood(outcome)).length;
console.log(`${String(found.length)} cells in ${String(migrations)} migrations, ${String(bad)} bad`);
process.exitCode = bad === 0 ? 0 : 1;
