import pino from 'pino';
import { expect, test } from 'vitest';
import { abortMigration } from '../../../src/actions/abort.ts';
import { ATTACHED_DECISIONS, createAttachedEvents } from '../../support/attached-table.ts';
import { catalogFacts, type CatalogFacts } from '../../support/catalog-facts.ts';
import { differences } from '../../support/catalog-differences.ts';
import { createDatabase } from '../../support/database.ts';
import { holds, startDaemon, until } from '../../support/daemon.ts';
import { createRole } from '../../support/roles.ts';
import { DEFAULT_MAJOR } from '../../support/server.ts';
import { appliedBack, expectKind, switchBack, switchOver, untilPhaseOf } from '../../support/way-back.ts';

/** What belongs to the target beside the table is no part of the comparison. */
function withoutOurs(facts: CatalogFacts): CatalogFacts {
  return new Map(
    [...facts].filter(
      ([object, { of, facts: own }]) =>
        !/partitioner_|events_p2/.test(`${object} ${of ?? ''} ${JSON.stringify(own['partition of'] ?? null)}`),
    ),
  );
}

test('one of each kind of what may hang on a table comes back as it was, and goes over again', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  const reader = (await createRole(database, 'nologin', [])).name;
  await createAttachedEvents(control, DEFAULT_MAJOR, reader);
  const before = await catalogFacts(control, ['app']);
  await using daemon = startDaemon(database.settings, 'app.events', { chunkBytes: 64 * 1024, decisions: ATTACHED_DECISIONS });
  let id = 0;
  for (let round = 1; round <= 2; round++) {
    await switchOver(daemon, control);
    await expectKind(control, 'p');
    const applied = await appliedBack(control);
    await control.query(`insert into app.events (at, v) values ('2026-01-05 00:00:00+00', 'there ${String(round)}')`);
    await until(control, 'followed', async () => (await appliedBack(control)) > applied);
    await switchBack(control);
    await expectKind(control, 'r');
    id = await untilPhaseOf(daemon, control, 'ready');
    await until(control, 'validated', () =>
      holds(control, 'not exists (select from partitioner.after_step where done_at is null and failure is null)'),
    );
    const after = await catalogFacts(control, ['app']);
    expect(differences(withoutOurs(before), withoutOurs(after)), `round ${String(round)}`).toEqual([]);
  }
  await daemon.stop();
  await abortMigration(database.settings, id, pino({ level: 'silent' }));
  expect(differences(before, await catalogFacts(control, ['app']))).toEqual([]);
});
