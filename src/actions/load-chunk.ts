import { quoteIdent, quoteLiteral, quoteName, type QualifiedName } from '../domain/identifier.ts';
import { formatLsn } from '../domain/lsn.ts';
import { invariant } from '../errors.ts';
import { fetchFingerprint } from '../pg/catalog.ts';
import { abandon, close, connect, inTransaction, type Client } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import { readSettledPosition, store, type ChunkRange, type Migration } from '../pg/control-store.ts';
import { copyThrough } from '../pg/copy.ts';
import { fetchFilenode } from '../pg/definition.ts';
import { passGuard } from '../plan/guard.ts';
import { intervalPredicate, type KeyInterval } from '../plan/resync-sql.ts';
import type { MigrationPlan, PlannedUnit } from '../plan/migration-plan.ts';
import { looksAltered } from '../plan/row-layout.ts';

/** Two sessions that copy one chunk at a time: one reads the source, one writes leaves. */
export interface Copier {
  readonly reader: Client;
  readonly writer: Client;
}

export async function openCopier(settings: ConnectionSettings, clientEncoding: string, migrationId: number): Promise<Copier> {
  const sessions: Client[] = [];
  try {
    const open = async (applicationName: string): Promise<Client> => {
      const client = await connect(settings, { applicationName });
      sessions.push(client);
      // Values pass through untouched in the server's own encoding; a reader that forks workers would take the application's cores.
      // While the writer waits for a lock nothing is read, which the server's kernel would take for a client that is gone.
      await client.query(
        `set client_encoding = ${quoteLiteral(clientEncoding)}; set max_parallel_workers_per_gather = 0; set tcp_user_timeout = 0; ${passGuard(migrationId)}`,
      );
      return client;
    };
    return { reader: await open('partitioner reader'), writer: await open('partitioner writer') };
  } catch (error) {
    await Promise.all(sessions.map(close));
    throw error;
  }
}

export async function closeCopier({ reader, writer }: Copier): Promise<void> {
  await Promise.all([close(reader), close(writer)]);
}

export function abandonCopier({ reader, writer }: Copier): void {
  abandon(reader);
  abandon(writer);
}

export type ChunkOutcome =
  | { readonly type: 'copied'; readonly rows: number; readonly bytes: number }
  /** The snapshot does not see every applied transaction yet (rule 2): nothing was done, try again soon. */
  | { readonly type: 'unsettled'; readonly xids: readonly string[] }
  /** Another daemon has copied it, or the slot was lost since its snapshot. */
  | { readonly type: 'copied before' };

/** The rows of a chunk: a key range of a leaf, or a block range of the whole table. */
export function chunkQuery(
  plan: MigrationPlan,
  unit: PlannedUnit,
  extent: KeyInterval,
  { lower, upper }: Pick<ChunkRange, 'lower' | 'upper'>,
): string {
  const columns = plan.columns.map(({ name }) => quoteIdent(name)).join(', ');
  const key = quoteIdent(plan.partitionKey.name);
  const where =
    unit.kind === 'leaf'
      ? intervalPredicate(key, plan, [{ lower: lower ?? extent.lower, upper: upper ?? extent.upper }])
      : [
          ...(lower === null ? [] : [`ctid >= '(${lower},0)'::tid`]),
          ...(upper === null ? [] : [`ctid < '(${upper},0)'::tid`]),
          // A row outside the planned leaves was written after the slot began: the stream brings it.
          `(${intervalPredicate(key, plan, [extent])})`,
        ].join(' and ');
  return `select ${columns} from only ${quoteName(plan.source)} where ${where}`;
}

/**
 * Copies one chunk in its own short repeatable read transaction, straight into its leaf (or the staging parent), and
 * records it in the transaction that writes it. The reading transaction stays open until the write has committed: a
 * TRUNCATE of the source cannot slip between. `isWhole`: the unit has no other chunk. Throws SOURCE_CHANGED when the source's definition is no longer the planned one.
 */
export async function loadChunk(
  copier: Copier,
  migration: Migration & { readonly plan: MigrationPlan },
  unit: PlannedUnit,
  extent: KeyInterval,
  into: QualifiedName,
  chunk: ChunkRange,
  isWhole: boolean,
  signal: AbortSignal,
): Promise<ChunkOutcome> {
  const { reader, writer } = copier;
  const { plan, id } = migration;
  return inTransaction(
    reader,
    async () => {
      // Before the snapshot: what ALTER TABLE and TRUNCATE rewrite looks empty to an older one. Nobody alters or moves the rows from here on.
      await reader.query(`lock table only ${quoteName(plan.source)} in access share mode`);
      const at = await readSettledPosition(reader, id);
      if (at.unseen > 0) return { type: 'unsettled', xids: at.unseenXids };
      if ((await fetchFingerprint(reader, migration.sourceOid)) !== migration.fingerprint)
        throw looksAltered(plan, 'its catalog rows differ from those planned');
      if (unit.kind === 'table' && plan.filenode !== undefined && (await fetchFilenode(reader, migration.sourceOid)) !== plan.filenode)
        throw looksAltered(plan, 'its rows were moved (VACUUM FULL, CLUSTER or TRUNCATE)');
      const format = plan.columns.every(({ wire }) => wire === 'binary') ? 'binary' : 'text';
      const columns = plan.columns.map(({ name }) => quoteIdent(name)).join(', ');
      // A leaf that is copied in one piece is emptied in the same transaction, which lets COPY write its pages frozen and
      // all-visible: the VACUUM after the load finds nothing to do.
      const whole = unit.kind === 'leaf' && isWhole;
      return inTransaction(writer, async () => {
        if (whole) await writer.query(`truncate only ${quoteName(into)}`);
        const { rows, bytes } = await copyThrough(
          reader,
          `copy (${chunkQuery(plan, unit, extent, chunk)}) to stdout (format ${format})`,
          writer,
          `copy ${quoteName(into)} (${columns}) from stdin (format ${format}${whole ? ', freeze' : ''})`,
          signal,
        );
        const finished = await store(writer, 'backfill/finish-chunk', [
          id,
          unit.unit,
          chunk.chunk,
          rows,
          bytes,
          formatLsn(at.walLsn),
          at.slots,
          chunk.lower?.toString() ?? null,
          chunk.upper?.toString() ?? null,
        ]);
        if (finished.length === 0) throw new CopiedBefore();
        invariant(finished.length === 1, 'a chunk is recorded twice');
        return { type: 'copied', rows, bytes } as const;
      }).catch((error: unknown) => {
        if (error instanceof CopiedBefore) return { type: 'copied before' } as const;
        throw error;
      });
    },
    'begin isolation level repeatable read read only',
  );
}

/** Rolls the writer's copy back. */
class CopiedBefore extends Error {}
