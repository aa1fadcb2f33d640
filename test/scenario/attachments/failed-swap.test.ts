import { expect, test } from 'vitest';
import { sendCommand, type CommandOutcome } from '../../../src/actions/command.ts';
import type { Client } from '../../../src/pg/client.ts';
import { ATTACHED_DECISIONS, createAttachedEvents } from '../../support/attached-table.ts';
import { catalogSnapshot } from '../../support/catalog-snapshot.ts';
import { createDatabase, type TestDatabase } from '../../support/database.ts';
import { startDaemon, untilPhase, type TestDaemon } from '../../support/daemon.ts';
import { createRole } from '../../support/roles.ts';
import { DEFAULT_MAJOR } from '../../support/server.ts';

/**
 * A cutover that fails at any of its statements leaves the catalog as it was. An event trigger makes it fail at the end of the k-th
 * statement of DDL; `sabotage.failure` says which, and how.
 */
const FAILURE = `
  create schema sabotage;
  create table sabotage.failure (statement int, action text);
  create sequence sabotage.times;
  insert into sabotage.failure values (0, 'raise');
  create function sabotage.fail() returns event_trigger language plpgsql as $$
    declare
      nth int := coalesce(nullif(current_setting('sabotage.nth', true), ''), '0')::int + 1;
      failure sabotage.failure;
    begin
      if current_setting('application_name') <> 'partitioner cutover' then return; end if;
      perform set_config('sabotage.nth', nth::text, true);
      select * into failure from sabotage.failure;
      if nth <> failure.statement then return; end if;
      case failure.action
        when 'raise' then raise 'sabotage at statement %: %', nth, tg_tag;
        when 'lock timeout once' then if nextval('sabotage.times') = 1 then raise lock_not_available using message = 'once'; end if;
        when 'deadlock once' then if nextval('sabotage.times') = 1 then raise deadlock_detected using message = 'once'; end if;
        when 'terminate' then perform pg_terminate_backend(pg_backend_pid());
      end case;
    end $$;
  create event trigger sabotage on ddl_command_end execute function sabotage.fail();`;

interface Stage extends AsyncDisposable {
  readonly control: Client;
  readonly daemon: TestDaemon;
  readonly before: Record<string, unknown[]>;
  /** A cutover that fails at the k-th statement of DDL. */
  readonly fail: (statement: number, action: string) => Promise<CommandOutcome | null>;
  /** A cutover that may hold its locks for so long only: the server ends it at whatever statement it has come to. */
  readonly hold: (milliseconds: number) => Promise<CommandOutcome | null>;
}

async function setStage(database: TestDatabase): Promise<Stage> {
  const control = await database.client();
  const reader = await createRole(database, 'nologin', []);
  await createAttachedEvents(control, DEFAULT_MAJOR, reader.name);
  const daemon = startDaemon(database.settings, 'app.events', { decisions: ATTACHED_DECISIONS });
  try {
    const { id } = await untilPhase(control, 'ready');
    const cutover = (limits: object): Promise<CommandOutcome | null> =>
      sendCommand(control, id, 'cutover', { lockTimeoutMs: 1_000, maxLockHoldMs: 20_000, attempts: 5, ...limits }, { waitMs: 60_000 });
    await control.query(FAILURE);
    return {
      control,
      daemon,
      before: await catalogSnapshot(control),
      fail: async (statement, action) => {
        await control.query('update sabotage.failure set statement = $1, action = $2', [statement, action]);
        return cutover({});
      },
      hold: async (maxLockHoldMs) => {
        await control.query('update sabotage.failure set statement = 0');
        return cutover({ maxLockHoldMs, attempts: 1 });
      },
      [Symbol.asyncDispose]: () => daemon.stop(),
    };
  } catch (error) {
    await daemon.stop();
    throw error;
  }
}

test('an error at any statement of the swap leaves the catalog as it was; the cutover after it succeeds', async () => {
  await using database = await createDatabase();
  await using stage = await setStage(database);
  const { control, daemon, before, fail } = stage;
  let statement = 1;
  for (; ; statement++) {
    const outcome = await fail(statement, 'raise');
    if (outcome?.ok === true) break;
    expect(outcome).toMatchObject({ ok: false, error: { code: 'POSTGRES' } });
    expect(JSON.stringify(outcome)).toContain(`sabotage at statement ${String(statement)}`);
    expect(await catalogSnapshot(control), `failed at statement ${String(statement)}`).toEqual(before);
  }
  expect(statement, 'statements of the swap').toBeGreaterThan(60);
  await daemon.ended;
  const { rows } = await control.query(`select relkind from pg_class where oid = 'app.events'::regclass`);
  expect(rows).toEqual([{ relkind: 'p' }]);
});

test('a lock timeout, a deadlock or a cut session in the middle of the swap leaves the catalog as it was', async () => {
  await using database = await createDatabase();
  await using stage = await setStage(database);
  const { control, daemon, before, fail, hold } = stage;
  for (const statement of [1, 7, 25, 60]) {
    expect(await fail(statement, 'terminate')).toMatchObject({ ok: false, error: { code: 'POSTGRES' } });
    expect(await catalogSnapshot(control), `cut at statement ${String(statement)}`).toEqual(before);
  }
  for (const milliseconds of [1, 10, 20, 30, 40, 60]) {
    const outcome = await hold(milliseconds);
    if (outcome?.ok === true) return; // a fast machine
    expect(outcome).toMatchObject({ ok: false, error: { code: 'LOCK_NOT_ACQUIRED' } });
    expect(await catalogSnapshot(control), `held for ${String(milliseconds)} ms`).toEqual(before);
  }
  expect(await fail(40, 'lock timeout once')).toMatchObject({ ok: true, receipt: { attempts: 2 } });
  await daemon.ended;
});
