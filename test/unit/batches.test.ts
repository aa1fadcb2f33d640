import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Lsn } from '../../src/domain/lsn.ts';
import { BatchBuilder, type Batch } from '../../src/streams/batches.ts';
import type { ReplicationEvent } from '../../src/streams/replication.ts';

const OID = 1;

interface Tx {
  readonly xid: number;
  readonly changes: number;
}

/** A stream of transactions, each 100 positions long; change n of transaction x carries `x:n`. */
function streamOf(transactions: readonly Tx[]): ReplicationEvent[] {
  return transactions.flatMap(({ xid, changes }, i) => {
    const commitLsn = BigInt(i + 1) * 100n;
    const wal = (message: Extract<ReplicationEvent, { kind: 'wal' }>['message']): ReplicationEvent => ({ kind: 'wal', message, bytes: 10 });
    return [
      wal({ kind: 'begin', finalLsn: commitLsn, commitTimeUs: 0n, xid }),
      ...Array.from({ length: changes }, (_, n) => wal({ kind: 'insert', oid: OID, tuple: Buffer.from(`${xid}:${n}`) })),
      wal({ kind: 'commit', commitLsn, endLsn: commitLsn + 8n, commitTimeUs: 5n }),
    ];
  });
}

/** Somewhere before the next transaction's end the server says how far it has read: as often as it is asked, and so elsewhere after each restart. */
function keepaliveBefore(next: ReplicationEvent | undefined, share: number): ReplicationEvent[] {
  if (next?.kind !== 'wal' || next.message.kind !== 'begin') return [];
  return [{ kind: 'keepalive', walEnd: next.message.finalLsn - 92n + BigInt(share) }];
}

function builderAt(position: Batch['position'], sliceBytes: number): BatchBuilder {
  return new BatchBuilder(
    position,
    sliceBytes,
    (oid) => oid === OID,
    () => undefined,
  );
}

const START = { lsn: 0n as Lsn, partialLsn: null, partialChanges: 0 };

describe('BatchBuilder', () => {
  test('restarted anywhere, delivers every change exactly once and gives back all credit', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ xid: fc.integer({ min: 1, max: 1_000_000 }), changes: fc.integer({ min: 0, max: 30 }) }), { maxLength: 12 }),
        fc.integer({ min: 20, max: 150 }),
        fc.array(
          fc.record({
            take: fc.boolean(),
            restart: fc.integer({ min: 0, max: 9 }),
            keepalive: fc.option(fc.integer({ min: 0, max: 91 })),
          }),
          { minLength: 400, maxLength: 400 },
        ),
        (transactions, sliceBytes, choices) => {
          const events = streamOf(transactions);
          const applied: string[] = [];
          let position: Batch['position'] = START;
          let builder = builderAt(position, sliceBytes);
          let messages = 0;
          let at = 0;
          for (const { take, restart, keepalive } of choices) {
            if (take || at === events.length) {
              const batch = builder.take(true);
              if (batch) {
                applied.push(...batch.changes.map((change) => (change.kind === 'insert' ? change.tuple.toString() : '')));
                expect(batch.position.lsn >= position.lsn).toBe(true);
                position = batch.position;
                messages += batch.messages;
              }
            } else if (restart === 0) {
              // The slot resends from the last whole transaction that it was told.
              builder = builderAt(position, sliceBytes);
              const lsn = position.lsn;
              at = events.findIndex((event) => event.kind === 'wal' && event.message.kind === 'begin' && event.message.finalLsn >= lsn);
              if (at < 0) at = events.length;
              messages = at;
            } else {
              if (keepalive !== null) for (const event of keepaliveBefore(events[at], keepalive)) builder.push(event);
              builder.push(events[at++]!);
            }
          }
          for (; at < events.length; at++) builder.push(events[at]!);
          for (let batch = builder.take(true); batch; batch = builder.take(true)) {
            applied.push(...batch.changes.map((change) => (change.kind === 'insert' ? change.tuple.toString() : '')));
            messages += batch.messages;
          }
          expect(applied).toEqual(transactions.flatMap(({ xid, changes }) => Array.from({ length: changes }, (_, n) => `${xid}:${n}`)));
          expect(messages).toBe(events.length);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('a slice keeps the applied position before its transaction', () => {
    const builder = builderAt(START, 25);
    for (const event of streamOf([{ xid: 7, changes: 5 }]).slice(0, 4)) builder.push(event);
    expect(builder.take(false)?.position).toEqual({ lsn: 0n, partialLsn: 100n, partialChanges: 3 });
  });

  test('a keepalive moves the position only outside of a transaction', () => {
    const builder = builderAt(START, 1_000);
    builder.push({ kind: 'keepalive', walEnd: 50n });
    expect(builder.take(true)?.position.lsn).toBe(50n);
    builder.push(streamOf([{ xid: 7, changes: 1 }])[0]!);
    builder.push({ kind: 'keepalive', walEnd: 70n });
    expect(builder.take(true)).toBeNull();
  });

  test('after a restart a keepalive does not move the position over a transaction that is applied in part', () => {
    const builder = builderAt({ lsn: 0n, partialLsn: 100n, partialChanges: 2 }, 1_000);
    builder.push({ kind: 'keepalive', walEnd: 50n });
    expect(builder.take(true)).toBeNull();
    for (const event of streamOf([{ xid: 7, changes: 4 }])) builder.push(event);
    const batch = builder.take(true)!;
    expect(batch.changes.map((change) => (change as { tuple: Buffer }).tuple.toString())).toEqual(['7:2', '7:3']);
    expect(batch.position).toEqual({ lsn: 108n, partialLsn: null, partialChanges: 0 });
  });

  test('few large messages outside of transactions give their credit back too', () => {
    const builder = builderAt(START, 1_000);
    const message = { kind: 'message', transactional: false, lsn: 5n, prefix: 'app', content: Buffer.alloc(0) } as const;
    for (let n = 0; n < 3; n++) builder.push({ kind: 'wal', message, bytes: 500 });
    expect(builder.take(true)).toMatchObject({ changes: [], messages: 3, bytes: 1_500, position: START });
  });

  test('a stream that skips a transaction applied in part is a defect', () => {
    const builder = builderAt({ lsn: 0n, partialLsn: 100n, partialChanges: 2 }, 1_000);
    expect(() => {
      builder.push(
        streamOf([
          { xid: 1, changes: 0 },
          { xid: 2, changes: 1 },
        ])[2]!,
      );
    }).toThrow(/applied in part/);
  });
});
