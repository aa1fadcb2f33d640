import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { Pool } from '../../src/daemon/pool.ts';
import { decideRetry } from '../../src/daemon/retry.ts';
import { MigratorError } from '../../src/errors.ts';
import { decidePhase } from '../../src/migration/phase.ts';
import { isConnectionLost } from '../../src/pg/client.ts';

function postgresError(code: string): Error {
  return Object.assign(new pg.DatabaseError('a message', 0, 'error'), { code });
}

describe('decideRetry', () => {
  test.each([
    [postgresError('57P01'), 'timed'], // admin_shutdown
    [postgresError('08006'), 'timed'], // connection_failure
    [postgresError('40001'), 'timed'], // serialization_failure
    [postgresError('53100'), 'timed'], // disk_full
    [postgresError('25006'), 'timed'], // read_only_sql_transaction
    [postgresError('42501'), 'manual'], // insufficient_privilege
    [postgresError('42P01'), 'manual'], // undefined_table
    [new Error('Connection terminated unexpectedly'), 'timed'],
    [new TypeError('x is not a function'), 'never'],
    [new MigratorError('SLOT_LOST', 'lost'), 'never'],
    [new MigratorError('SOURCE_CHANGED', 'changed'), 'never'],
    [new MigratorError('POSTGRES', 'wrapped', { cause: postgresError('42501') }), 'manual'],
    [new MigratorError('POSTGRES', 'wrapped', { cause: new TypeError('a defect') }), 'never'],
  ] as const)('%s: %s', (error, retry) => {
    expect(decideRetry(error)).toBe(retry);
  });
});

describe('isConnectionLost', () => {
  test.each([
    [postgresError('57P01'), true], // admin_shutdown
    [postgresError('53300'), true], // too_many_connections
    [new Error('timeout expired'), true],
    [new Error('getaddrinfo EAI_AGAIN db.example'), true],
    [new Error('There was an error establishing an SSL connection'), true],
    [new MigratorError('POSTGRES', 'wrapped', { cause: new Error('connect ECONNREFUSED') }), true],
    [postgresError('53100'), false], // disk_full
    [new MigratorError('LOCK_NOT_ACQUIRED', 'connection terminated'), false],
  ] as const)('%s: %s', (error, isLost) => {
    expect(isConnectionLost(error)).toBe(isLost);
  });
});

describe('decidePhase', () => {
  const verified = { checked: 3, total: 3, tainted: false };
  const facts = {
    isRecovering: false,
    units: { live: 3, total: 3 },
    verified,
    repairKeys: 0,
    owedIndexes: 0,
    anomalies: 0,
    lag: { bytes: 10, seconds: 0 },
    maxLag: { bytes: 100, seconds: 5 },
  };
  test.each([
    [{}, 'ready'],
    [{ units: { live: 2, total: 3 } }, 'backfill'],
    [{ isRecovering: true }, 'catchup'],
    [{ isRecovering: true, units: { live: 2, total: 3 } }, 'catchup'],
    [{ repairKeys: 1 }, 'catchup'],
    [{ owedIndexes: 1 }, 'catchup'],
    [{ anomalies: 1 }, 'catchup'],
    [{ anomalies: 1, units: { live: 2, total: 3 } }, 'backfill'],
    [{ lag: { bytes: 101, seconds: 0 } }, 'catchup'],
    [{ lag: { bytes: 0, seconds: 6 } }, 'catchup'],
    [{ verified: { ...verified, checked: 2 } }, 'catchup'],
    [{ verified: { ...verified, tainted: true } }, 'catchup'],
  ])('%j: %s', (changes, phase) => {
    expect(decidePhase({ ...facts, ...changes })).toBe(phase);
  });
});

describe('Pool', () => {
  test('lends no more than its size, in order, and not again what failed', async () => {
    let made = 0;
    const disposed: number[] = [];
    const pool = new Pool<number>({
      size: 2,
      make: () => Promise.resolve(++made),
      dispose: (resource) => {
        disposed.push(resource);
        return Promise.resolve();
      },
    });
    let running = 0;
    let most = 0;
    const order: number[] = [];
    await Promise.all(
      [1, 2, 3, 4, 5].map((number) =>
        pool.use(async () => {
          order.push(number);
          most = Math.max(most, ++running);
          await new Promise((resolve) => setImmediate(resolve));
          running--;
        }),
      ),
    );
    expect([most, made, order]).toEqual([2, 2, [1, 2, 3, 4, 5]]);
    await expect(pool.use(() => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
    expect(disposed).toHaveLength(1);
    await pool.close();
    expect(disposed).toHaveLength(2);
  });

  test('abandoned, it makes nothing more for those who wait, and closes when the last one is back', async () => {
    let made = 0;
    let disposed = 0;
    const cut: (() => void)[] = [];
    const pool = new Pool<number>({
      size: 2,
      make: () => Promise.resolve(++made),
      dispose: async () => {
        disposed++;
        return Promise.resolve();
      },
      abandon: () => {
        for (const each of cut.splice(0)) each();
      },
    });
    const users = Array.from({ length: 100 }, () =>
      pool.use(() => new Promise<void>((_, reject) => cut.push(() => setImmediate(reject, new Error('cut off'))))),
    );
    const outcomes = Promise.allSettled(users);
    await new Promise((resolve) => setImmediate(resolve));
    pool.abandon(new Error('over'));
    await pool.close();
    expect([made, disposed]).toEqual([2, 2]);
    const reasons = (await outcomes).map((outcome) => (outcome.status === 'rejected' ? (outcome.reason as Error).message : 'no error'));
    expect(reasons).toEqual(['cut off', 'cut off', ...Array.from({ length: 98 }, () => 'over')]);
    await expect(pool.use(() => Promise.resolve())).rejects.toThrow('over');
  });
});
