import type pg from 'pg';
import { MigratorError } from '../errors.ts';
import { loadSql } from '../sql/load.ts';
import type { Claim } from './connection.ts';

/** Class of the advisory lock `(class, migration id)` that all sessions of a migration's daemon share. */
export const CLAIM_LOCK_CLASS = 1_886_545_777;

/** The session's transactions are those of a daemon's epoch. Throws when there is a later one: that daemon works no more. */
export async function carryClaim(client: pg.Client, { migrationId, epoch }: Claim): Promise<void> {
  await client.query(loadSql('session/carry-claim'), [CLAIM_LOCK_CLASS, migrationId, epoch]);
  const { rows } = await client.query<{ claimed: boolean }>(loadSql('session/is-claimed'), [migrationId, epoch]);
  if (rows[0]!.claimed) return;
  throw new MigratorError('POSTGRES', 'another daemon has taken over this migration', {
    detail: `its epoch is later than ${epoch}`,
    hint: 'this one stands by',
  });
}
