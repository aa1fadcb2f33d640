import { expect, test } from 'vitest';
import { sendCommand } from '../../../src/actions/command.ts';
import { createPlainEvents } from '../../support/attached-table.ts';
import { catalogSnapshot } from '../../support/catalog-snapshot.ts';
import { startCuttingProxy, type Cut } from '../../support/cutting-proxy.ts';
import { createDatabase } from '../../support/database.ts';
import { holds, startDaemon, until, untilPhase } from '../../support/daemon.ts';
import { differingRows } from '../../support/oracle.ts';

const WAYS: readonly Cut[] = ['before', 'after', 'terminated'];

/** The statements of the swap, each once. */
function statementsOf(seen: readonly string[]): string[] {
  const swap = [...new Set(seen.slice(seen.indexOf('begin')))].filter(
    (text) => !text.startsWith('set local statement_timeout') && text !== 'rollback',
  );
  expect(swap.length).toBeGreaterThan(25);
  return swap;
}

/**
 * The session of the cutover is cut at each of its statements: the state is before or after, never between, the answer says which, and a writer of the
 * application notices nothing.
 */
test.each(WAYS)('the session of the cutover cut %s each of its statements', async (how) => {
  await using database = await createDatabase();
  const control = await database.client();
  await createPlainEvents(control);
  await using proxy = await startCuttingProxy(database.settings, database.server);
  await using daemon = startDaemon(proxy.settings, 'app.events');
  const { id, retired_name: retired } = await untilPhase(control, 'ready');
  const before = await catalogSnapshot(control);

  let stopped = false;
  const application = await database.client('application');
  const writer = (async () => {
    let count = 0;
    for (; !stopped; count++) {
      await application.query(`insert into app.events (at, v) values (now(), 'writer')`);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    return count;
  })();
  writer.catch(() => undefined);

  const asker = await database.client();
  const cutover = (limits: object = {}): ReturnType<typeof sendCommand> =>
    sendCommand(asker, id, 'cutover', { lockTimeoutMs: 2_000, maxLockHoldMs: 10_000, attempts: 1, ...limits }, { waitMs: 60_000 });
  proxy.cutAt('partitioner cutover', null, how);
  expect(await cutover({ dryRun: true })).toMatchObject({ ok: true });
  const statements = statementsOf(proxy.seen());
  for (const statement of [...statements, 'commit']) {
    proxy.cutAt('partitioner cutover', statement, how);
    const outcome = await cutover();
    expect(proxy.isCut(), statement).toBe(true);
    if (statement === 'commit' && how === 'after') {
      expect(outcome).toMatchObject({ ok: true, receipt: { differences: 0 } });
      break;
    }
    expect(outcome, statement).toMatchObject({ ok: false, error: { code: 'POSTGRES' } });
    await until(control, 'the cut session to be gone, with its temporary tables', () =>
      holds(control, `not exists (select from pg_stat_activity where application_name = 'partitioner cutover')`),
    );
    expect(await catalogSnapshot(control), statement).toEqual(before);
  }
  if (how !== 'after') {
    // With attempts left, a session that is lost costs one of them.
    proxy.cutAt('partitioner cutover', statements.at(-1)!, how);
    expect(await cutover({ attempts: 3 })).toMatchObject({ ok: true, receipt: { attempts: 2 } });
    expect(proxy.isCut()).toBe(true);
  }

  stopped = true;
  const written = await writer;
  await daemon.ended;
  const { rows } = await control.query(
    `select (select relkind from pg_class where oid = 'app.events'::regclass)::text as kind, (select phase from partitioner.migration) as phase,
       (select count(*)::int from app.events where v = 'writer') as written`,
  );
  expect(rows).toEqual([{ kind: 'p', phase: 'switched', written }]);
  await control.query(
    `create view app.old as select * from app.events where v <> 'writer' or v is null; create view app.new as select * from app.${retired} where v <> 'writer' or v is null`,
  );
  expect(await differingRows(control, { schema: 'app', name: 'old' }, { schema: 'app', name: 'new' })).toEqual([]);
});
