import { describe, expect, it } from 'vitest';
import { DAEMON_LOCK_CLASS, isDaemonAlive, outcomeError, sendCommand, setPaused } from '../../src/actions/command.ts';
import { inTransaction, withClient, type Client } from '../../src/pg/client.ts';
import { createControlSchema } from '../../src/pg/control-store.ts';
import { insertMigration } from '../support/control.ts';
import { testDatabase } from '../support/database.ts';

const database = testDatabase();
const session = { applicationName: 'test' };

/** A client, a migration, and a second session that plays the daemon. */
async function stage(use: (client: Client, daemon: Client, id: number) => Promise<void>): Promise<void> {
  await withClient(database.settings(), session, (client) =>
    withClient(database.settings(), session, async (daemon) => {
      await inTransaction(client, () => createControlSchema(client));
      await use(
        client,
        daemon,
        await insertMigration(client, { table: `t${Date.now()}${Math.floor(Math.random() * 1e6)}`, phase: 'ready' }),
      );
    }),
  );
}

const lock = (daemon: Client, id: number): Promise<unknown> => daemon.query('select pg_advisory_lock($1, $2)', [DAEMON_LOCK_CLASS, id]);
const unlock = (daemon: Client, id: number): Promise<unknown> => daemon.query('select pg_advisory_unlock($1, $2)', [DAEMON_LOCK_CLASS, id]);

/** Takes the next command, once it is rung for, and returns its id. */
async function take(daemon: Client, id: number): Promise<{ command: string; verb: string; arguments: unknown }> {
  const sql = `update partitioner.command set started_at = clock_timestamp()
    where id = (select id from partitioner.command where migration = $1 and started_at is null order by id limit 1)
    returning id as command, verb, arguments`;
  for (;;) {
    const { rows } = await daemon.query<{ command: string; verb: string; arguments: unknown }>(sql, [id]);
    if (rows[0]) return rows[0];
    // A notification that comes with the answer above is gone before anybody listens: so ask again soon, as the daemon does.
    await new Promise((resolve) => {
      daemon.once('notification', resolve);
      setTimeout(resolve, 100);
    });
  }
}

async function answer(daemon: Client, command: string, outcome: object): Promise<void> {
  await daemon.query('update partitioner.command set finished_at = clock_timestamp(), outcome = $2 where id = $1', [
    command,
    JSON.stringify(outcome),
  ]);
  await daemon.query("select pg_notify('partitioner_done', $1)", [command]);
}

describe('a command', () => {
  it('reaches the daemon and brings its outcome back', async () => {
    await stage(async (client, daemon, id) => {
      await lock(daemon, id);
      await daemon.query('listen partitioner_command');
      const sent = sendCommand(client, id, 'cutover', { attempts: 3 }, { waitMs: 10_000 });
      const taken = await take(daemon, id);
      expect(taken).toMatchObject({ verb: 'cutover', arguments: { attempts: 3 } });
      await answer(daemon, taken.command, { ok: true, receipt: { attempts: 1 } });
      expect(await sent).toEqual({ ok: true, receipt: { attempts: 1 } });
      expect(client.listenerCount('notification')).toBe(0);
    });
  });

  it('that failed carries the error', async () => {
    await stage(async (client, daemon, id) => {
      await lock(daemon, id);
      await daemon.query('listen partitioner_command');
      const sent = sendCommand(client, id, 'pause', {}, { waitMs: 10_000 });
      const { command } = await take(daemon, id);
      await answer(daemon, command, { ok: false, error: { code: 'LOCK_NOT_ACQUIRED', message: 'no lock', hint: 'later' } });
      const outcome = await sent;
      if (outcome?.ok !== false) throw new Error('it did not fail');
      expect(outcomeError(outcome)).toMatchObject({ code: 'LOCK_NOT_ACQUIRED', exitCode: 5, message: 'no lock', hint: 'later' });
    });
  });

  it('without a daemon leaves nothing in the queue', async () => {
    await stage(async (client, _daemon, id) => {
      expect(await isDaemonAlive(client, id)).toBe(false);
      expect(await sendCommand(client, id, 'cutover', {}, { waitMs: 10_000 })).toBeNull();
      expect((await client.query('select from partitioner.command where migration = $1', [id])).rowCount).toBe(0);
    });
  });

  it('is taken back when the daemon goes away before it begins', async () => {
    await stage(async (client, daemon, id) => {
      await lock(daemon, id);
      await daemon.query('listen partitioner_command');
      const rung = new Promise((resolve) => daemon.once('notification', resolve));
      const sent = sendCommand(client, id, 'cutover', {}, { waitMs: 10_000 });
      await rung;
      await unlock(daemon, id);
      expect(await sent).toBeNull();
      expect((await client.query('select from partitioner.command where migration = $1', [id])).rowCount).toBe(0);
    });
  });

  it('that had begun when the daemon died is an error that says so', async () => {
    await stage(async (client, daemon, id) => {
      await lock(daemon, id);
      await daemon.query('listen partitioner_command');
      const sent = sendCommand(client, id, 'cutover', {}, { waitMs: 10_000 });
      const refused = expect(sent).rejects.toMatchObject({ code: 'NO_DAEMON', message: 'the daemon ended while it performed cutover' });
      await take(daemon, id);
      await unlock(daemon, id);
      await refused;
    });
  });

  it('that is not answered in time is taken back', async () => {
    await stage(async (client, daemon, id) => {
      await lock(daemon, id);
      await expect(sendCommand(client, id, 'pause', {}, { waitMs: 0 })).rejects.toMatchObject({
        code: 'NO_DAEMON',
        message: 'the daemon has not answered pause within 0 s',
        detail: 'The command was taken back, nothing will come of it.',
      });
      expect((await client.query('select from partitioner.command where migration = $1', [id])).rowCount).toBe(0);
    });
  });

  it('abort succeeds when its own row goes away with the migration, and with the whole schema', async () => {
    for (const removal of ['delete from partitioner.migration', 'drop schema partitioner cascade']) {
      await stage(async (client, daemon, id) => {
        await lock(daemon, id);
        await daemon.query('listen partitioner_command');
        const sent = sendCommand(client, id, 'abort', {}, { waitMs: 10_000 });
        await take(daemon, id);
        await daemon.query(removal);
        expect(await sent).toEqual({ ok: true });
      });
    }
  });

  it('pause without a daemon is kept for the next one', async () => {
    await stage(async (client, _daemon, id) => {
      for (const paused of [true, false]) {
        await setPaused(client, id, paused);
        const { rows } = await client.query<{ paused: boolean }>('select paused from partitioner.migration where id = $1', [id]);
        expect(rows[0]!.paused).toBe(paused);
      }
    });
  });
});
