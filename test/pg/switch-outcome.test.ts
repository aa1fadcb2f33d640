import { expect, test } from 'vitest';
import { isCommitted } from '../../src/actions/swap-session.ts';
import { createDatabase } from '../support/database.ts';

/** What became of a transaction whose COMMIT was not answered. */

test('an id that a crashed server has forgotten, or has handed out again, says nothing: what was written does', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  const { rows } = await client.query<{ xid: string; later: string }>(
    'select pg_current_xact_id()::text as xid, (pg_current_xact_id()::text::int8 + 1000000)::text as later',
  );
  const [{ xid, later }] = rows as [{ xid: string; later: string }];
  const isThere = (there: boolean) => () => Promise.resolve(there);
  // Still to come: the server knows nothing of it.
  expect(await isCommitted(database.settings, later, isThere(false))).toBe(false);
  // Committed, and by somebody else.
  expect(await isCommitted(database.settings, xid, isThere(false))).toBe(false);
  expect(await isCommitted(database.settings, xid, isThere(true))).toBe(true);
});

test('a transaction that is still under way is waited for', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await client.query('begin');
  const { rows } = await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid');
  let asked = 0;
  const outcome = isCommitted(database.settings, rows[0]!.xid, () => {
    asked++;
    return Promise.resolve(true);
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(asked).toBe(0);
  await client.query('commit');
  expect(await outcome).toBe(true);
});
