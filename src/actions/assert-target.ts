import { tableWord } from '../domain/command-word.ts';
import { quoteName, type QualifiedName } from '../domain/identifier.ts';
import { MigratorError } from '../errors.ts';
import type { Client } from '../pg/client.ts';
import { loadSql } from '../sql/load.ts';

/** Throws TARGET_CHANGED when somebody else has altered the target or one of its leaves. */
export async function assertTarget(client: Client, { id, source }: { readonly id: number; readonly source: QualifiedName }): Promise<void> {
  const { rows } = await client.query<{ problem: string }>(loadSql('catalog/target-state'), [id]);
  if (rows.length === 0) return;
  throw new MigratorError('TARGET_CHANGED', `what the migration of ${quoteName(source)} has made was altered: ${rows[0]!.problem}`, {
    detail:
      rows.length > 1
        ? `and: ${rows
            .slice(1)
            .map(({ problem }) => problem)
            .join('; ')}`
        : 'the source is untouched',
    hint: `partitioner abort ${tableWord(source)}, then start again`,
  });
}
