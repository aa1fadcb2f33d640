import { expect } from 'vitest';
import { isDaemonAlive, sendCommand, type CommandOutcome } from '../../src/actions/command.ts';
import type { Client } from '../../src/pg/client.ts';
import { until, untilPhase, type TestDaemon } from './daemon.ts';
import { differingRows } from './oracle.ts';

/** For switches of both directions, with the way back. */
export const LIMITS = { lockTimeoutMs: 1_000, maxLockHoldMs: 20_000, attempts: 60, wayBack: true } as const;

/** Waits for a phase as long as the daemon runs. */
export async function untilPhaseOf(daemon: TestDaemon, control: Client, phase: string): Promise<number> {
  const ended = daemon.ended.then(() => Promise.reject(new Error('the daemon has ended')));
  ended.catch(() => undefined);
  const { id } = await Promise.race([untilPhase(control, phase, 120_000), ended]);
  return id;
}

export async function switchOver(daemon: TestDaemon, control: Client): Promise<CommandOutcome> {
  const id = await untilPhaseOf(daemon, control, 'ready');
  return commandOnceAlive(control, id, 'cutover');
}

/** A daemon that has lost a connection is gone for a moment, and takes no command then. */
async function commandOnceAlive(control: Client, id: number, verb: 'cutover' | 'rollback'): Promise<CommandOutcome> {
  return until(control, verb, async () => {
    await until(control, 'a daemon', () => isDaemonAlive(control, id));
    const outcome = await sendCommand(control, id, verb, LIMITS, { waitMs: 60_000 });
    if (outcome?.ok === false) throw new Error(`${verb}: ${JSON.stringify(outcome)}`);
    return outcome;
  });
}

export async function switchBack(control: Client): Promise<CommandOutcome> {
  const { id } = await untilPhase(control, 'switched');
  return commandOnceAlive(control, id, 'rollback');
}

/** Changes that the way back's stream has applied, over all of its rows. */
export async function appliedBack(control: Client): Promise<number> {
  const { rows } = await control.query<{ applied: string | null }>(
    `select sum(p.inserted + p.updated + p.deleted + p.truncated)::text as applied
     from partitioner.position p join partitioner.migration m on m.id = p.migration where m.reverse_of is not null`,
  );
  return Number(rows[0]?.applied ?? 0);
}

/** Once nobody writes: the stream has passed everything that is committed, and the other table has the same rows. */
export async function expectFollowed(control: Client, other: string): Promise<void> {
  const { rows } = await control.query<{ lsn: string }>(`select pg_logical_emit_message(true, 'test', 'quiet')::text as lsn`);
  await until(control, 'the stream has passed', async () => {
    const { rows: positions } = await control.query<{ passed: boolean }>(
      `select p.lsn >= $1::pg_lsn as passed from partitioner.position p join partitioner.migration m on m.id = p.migration
       order by m.reverse_of is null, m.id desc limit 1`,
      [rows[0]!.lsn],
    );
    return positions[0]?.passed;
  });
  expect(await differingRows(control, { schema: 'app', name: 'events' }, { schema: 'app', name: other })).toEqual([]);
}

export async function expectKind(control: Client, kind: 'r' | 'p'): Promise<void> {
  const { rows } = await control.query<{ kind: string }>(`select relkind::text as kind from pg_class where oid = 'app.events'::regclass`);
  expect(rows).toEqual([{ kind }]);
}
