import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEmbeddedServer, type EmbeddedServer } from '../../../src/demo/embedded-server.ts';
import { DEFAULT_MAJOR, TEST_SETTINGS } from '../../support/server.ts';
import { bundles, CELLS, sample } from './cells.ts';
import { isGood, runCells } from './run-cell.ts';

/**
 * A part of the matrix, of every phase and every fault something: TEST_FAULTS=40 for more of it, all for all (an hour on two cores), TEST_SEED for the same
 * part again. All of it at once, with a report: npm run faults.
 */
const WANTED = process.env['TEST_FAULTS'] ?? '10';
const SEED = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000);
/** Groups of statements take a migration of their own, and minutes: they are for the whole matrix. */
const QUICK = CELLS.filter(({ place }) => place.occurrences.length === 1 && place.route === 'there' && place.unit === 'leaf');
const chosen = WANTED === 'all' ? CELLS : sample(QUICK, Number(WANTED), SEED);

let server: EmbeddedServer;
beforeAll(async () => {
  server = await startEmbeddedServer({ major: DEFAULT_MAJOR, settings: TEST_SETTINGS });
});
afterAll(async () => {
  await server.stop('immediate');
});

test.each(bundles(chosen, 6).map((cells, index) => [index + 1, cells] as const))(
  `migration %i, struck again and again, comes to its end (seed ${String(SEED)})`,
  { timeout: 900_000 },
  async (migration, cells) => {
    const { outcomes, log } = await runCells(cells, { server, outageMs: 2_000, migration });
    // Struck on the way it may come by a place no more: there is only so much to be copied.
    const bad = outcomes.filter((outcome) => !isGood(outcome) && outcome.outcome !== 'never reached');
    expect(bad, log).toEqual([]);
    expect(outcomes.filter(isGood).length).toBeGreaterThan(0);
    console.info(outcomes.map(({ cell, outcome }) => `${cell}: ${outcome}`).join('\n'));
  },
);
