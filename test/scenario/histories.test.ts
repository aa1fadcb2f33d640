import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createDatabase } from '../support/database.ts';
import { history } from '../support/history.ts';
import { differences, leftovers } from '../support/oracle.ts';
import { runHistory } from '../support/run-history.ts';

/**
 * Generated histories: concurrent writers, both kinds of unit, long transactions, rows that move, keys that change, TOAST,
 * TRUNCATE, restarts and cut connections, against a real server and the real daemon.
 *
 *   TEST_HISTORIES=1000 TEST_SEED=42 npx vitest run --project scenario test/scenario/histories.test.ts
 *
 * A failure prints the seed and the history; scheduling is the server's, so a replay may need some runs.
 */
const RUNS = Number(process.env['TEST_HISTORIES'] ?? 100);
const SEED = process.env['TEST_SEED'] === undefined ? Date.now() % 2 ** 31 : Number(process.env['TEST_SEED']);

test(`${RUNS} histories end with no difference (seed ${SEED})`, { timeout: RUNS * 60_000 }, async () => {
  let statements = 0;
  await fc.assert(
    fc.asyncProperty(history, async (generated) => {
      await using database = await createDatabase();
      const outcome = await runHistory(database, generated, process.env['TEST_VERBOSE'] !== undefined);
      statements += outcome.statements;
      const client = await database.client();
      const columns = ['key', 'v', 'at', 'note', 'doc', 'twice', 'n'];
      expect(await differences(client, { schema: 'app', name: 'h' }, { schema: 'app', name: outcome.retired }, columns)).toBe(0);
      expect(outcome.anomalies).toBe(0);
      expect((await leftovers(client)).slots).toEqual([]);
      await client.end();
    }),
    { numRuns: RUNS, seed: SEED, endOnFailure: true, verbose: 1 },
  );
  expect(statements).toBeGreaterThan(RUNS);
});
