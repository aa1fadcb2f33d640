import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { dropSlot } from '../../src/actions/drop-slot.ts';
import { WALSENDER_NAME } from '../../src/plan/preflight/standbys.ts';
import { createDatabase } from '../support/database.ts';
import { holds } from '../support/daemon.ts';
import { readSlot } from '../support/slot-reader.ts';

/** A slot that is to go while somebody reads it. */

const IS_THERE = 'exists (select from pg_replication_slots where slot_name = $1)';

test('a walsender of ours is told to end', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  const slot = `test_${database.name}`;
  await control.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [slot]);
  await using reader = await readSlot(database, slot, WALSENDER_NAME);
  await dropSlot(control, slot);
  expect(await holds(control, IS_THERE, [slot])).toBe(false);
  await sleep(100);
  expect(reader.hasEnded()).toBe(true);
});

test('a stranger is left alone, and named', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  const slot = `test_${database.name}`;
  await control.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [slot]);
  await using reader = await readSlot(database, slot, 'stranger');
  await expect(dropSlot(control, slot)).rejects.toMatchObject({
    code: 'WRONG_PHASE',
    message: expect.stringContaining(`pid ${String(reader.pid)} "stranger"`),
  });
  expect(reader.hasEnded()).toBe(false);
  expect(await holds(control, IS_THERE, [slot])).toBe(true);
});
