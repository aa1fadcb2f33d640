import fc from 'fast-check';

/** One statement of a writer. Keys and partition values are small, so that writers collide. */
export type Step =
  | { readonly kind: 'insert'; readonly key: number; readonly month: number; readonly toast: boolean }
  | { readonly kind: 'update'; readonly key: number }
  | { readonly kind: 'update toast'; readonly key: number }
  | { readonly kind: 'move'; readonly key: number; readonly month: number }
  | { readonly kind: 'rekey'; readonly key: number; readonly to: number; readonly month: number | null }
  | { readonly kind: 'swap'; readonly key: number; readonly to: number }
  | { readonly kind: 'delete'; readonly key: number }
  | { readonly kind: 'delete many'; readonly month: number }
  | { readonly kind: 'savepoint' }
  | { readonly kind: 'back to savepoint' }
  | { readonly kind: 'pause'; readonly ms: number };

export interface Transaction {
  readonly steps: readonly Step[];
  readonly end: 'commit' | 'rollback' | 'prepare';
}

/** What happens to the migration while the writers write. */
export type Event = {
  readonly afterMs: number;
  /** `cut all`: every session of the daemon at once. `kill`: its process. `crash`: the server, with all its sessions. */
  readonly kind: 'restart' | 'disconnect' | 'truncate' | 'pause' | 'vacuum' | 'slot' | 'slot while stopped' | 'cut all' | 'kill' | 'crash';
};

/** A whole history: replayable up to what the server's scheduling adds. */
export interface History {
  readonly unitKind: 'leaf' | 'table';
  readonly keyHoldsPartitionKey: boolean;
  readonly keyType: 'bigint' | 'numeric' | 'text' | 'uuid';
  readonly textColumn: boolean;
  readonly replicaIdentityFull: boolean;
  readonly rowsBefore: number;
  readonly writers: readonly (readonly Transaction[])[];
  readonly events: readonly Event[];
}

/** TEST_HISTORY_FAULTS: how often a process or the server dies; 1 in CI. */
const FAULTS = Number(process.env['TEST_HISTORY_FAULTS'] ?? 1);
/** TEST_HISTORY_SLOTS: how often a slot is lost. */
const SLOTS = Number(process.env['TEST_HISTORY_SLOTS'] ?? 1);

export const KEYS = 24;
export const MONTHS = 5;

const key = fc.integer({ min: 0, max: KEYS - 1 });
const month = fc.integer({ min: 0, max: MONTHS - 1 });

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('insert' as const), key, month, toast: fc.boolean() }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('update' as const), key }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('update toast' as const), key }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('move' as const), key, month }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('rekey' as const), key, to: key, month: fc.option(month) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('swap' as const), key, to: key }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('delete' as const), key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete many' as const), month }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'savepoint' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'back to savepoint' as const }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pause' as const), ms: fc.integer({ min: 1, max: 30 }) }) },
);

const transaction: fc.Arbitrary<Transaction> = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 8 }),
  end: fc.oneof(
    { weight: 8, arbitrary: fc.constant('commit' as const) },
    { weight: 1, arbitrary: fc.constant('rollback' as const) },
    { weight: 1, arbitrary: fc.constant('prepare' as const) },
  ),
});

export const history: fc.Arbitrary<History> = fc.record({
  unitKind: fc.constantFrom('leaf' as const, 'leaf' as const, 'table' as const),
  keyHoldsPartitionKey: fc.boolean(),
  keyType: fc.constantFrom('bigint' as const, 'bigint' as const, 'numeric' as const, 'text' as const, 'uuid' as const),
  textColumn: fc.boolean(),
  replicaIdentityFull: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  rowsBefore: fc.integer({ min: 0, max: 2 * KEYS }),
  writers: fc.array(fc.array(transaction, { minLength: 5, maxLength: 25 }), { minLength: 2, maxLength: 4 }),
  events: fc.array(
    fc.record({
      afterMs: fc.integer({ min: 10, max: 600 }),
      kind: fc.oneof(
        { weight: 12, arbitrary: fc.constantFrom('restart' as const, 'truncate' as const, 'pause' as const, 'vacuum' as const) },
        { weight: 6, arbitrary: fc.constantFrom('disconnect' as const, 'disconnect' as const, 'cut all' as const) },
        { weight: SLOTS, arbitrary: fc.constantFrom('slot' as const, 'slot while stopped' as const) },
        // A process takes its time to start, a server to recover: by hand there are more of them.
        { weight: FAULTS, arbitrary: fc.constantFrom('kill' as const, 'crash' as const) },
      ),
    }),
    { maxLength: 4 },
  ),
});
