import { expect, test } from 'vitest';
import type { Client } from '../../../src/pg/client.ts';
import { ATTACHED_DECISIONS, createAttachedEvents } from '../../support/attached-table.ts';
import { catalogSnapshot } from '../../support/catalog-snapshot.ts';
import { createDatabase } from '../../support/database.ts';
import { holds, startDaemon, until, untilPhase } from '../../support/daemon.ts';
import { partitioner } from '../../support/partitioner.ts';
import { createRole } from '../../support/roles.ts';
import { DEFAULT_MAJOR } from '../../support/server.ts';

/** `abort` with one of each kind attached leaves the same rows in the catalog. */

const MOMENTS: Readonly<Record<string, (control: Client) => Promise<unknown>>> = {
  'right after the preparation': (control) =>
    until(control, 'the plan', () => holds(control, `(select plan <> '{}' from partitioner.migration)`)),
  'when it is ready': (control) => untilPhase(control, 'ready'),
};

test.each(Object.entries(MOMENTS))('abort %s, with one of each kind attached', async (_, moment) => {
  await using database = await createDatabase();
  const control = await database.client();
  const reader = await createRole(database, 'nologin', []);
  await createAttachedEvents(control, DEFAULT_MAJOR, reader.name);
  const before = await catalogSnapshot(control);
  await using daemon = startDaemon(database.settings, 'app.events', { chunkBytes: 8_192, decisions: ATTACHED_DECISIONS });
  await moment(control);
  expect(await partitioner(['abort', 'app.events'], { DATABASE_URL: database.url })).toMatchObject({ code: 0, stderr: '' });
  await daemon.ended;
  expect(await catalogSnapshot(control)).toEqual(before);
});
