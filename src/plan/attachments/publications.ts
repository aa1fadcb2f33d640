import type { Publication } from '../../domain/attachments.ts';
import { quoteIdent, quoteName } from '../../domain/identifier.ts';
import type { SourceTable } from '../../domain/table.ts';
import { decisionOn, isKeyWidened } from '../decisions.ts';
import type { DdlStep } from '../migration-plan.ts';
import { label, NOTHING, only, type AttachmentContext, type Carried, type Fate } from './carried.ts';

const LEAK =
  'it has every new table at once: the whole backfill is sent to its subscribers, in tables that they do not know (a subscription stops at that, until it has them)';

/** What a subscriber sees after the switch depends on publish_via_partition_root: the table's name, or the leaves'. */
export function planPublication(publication: Publication, { source, table, partitionKey, decisions }: AttachmentContext): Carried {
  const { name, isExplicit, isAllTables, viaRoot, columns, rowFilter, hasPartitioned, owner, mayAlter } = publication;
  const base = { kind: 'publication', name, check: 'publications' } as const;
  const option = `publication:${name}`;
  const isPartial = columns !== null || rowFilter !== null;
  const choices = isPartial ? ['root'] : ['root', 'leaves'];
  const choice = decisionOn(decisions, option, choices);
  const how = isExplicit ? 'FOR TABLE' : isAllTables ? 'FOR ALL TABLES' : 'FOR TABLES IN SCHEMA';
  if (choice === null && (!isExplicit || !viaRoot)) {
    return only({
      ...base,
      fate: 'needs your decision',
      how: `${how}. ${isExplicit ? '' : `${LEAK}. `}${viaRoot ? 'It publishes via the root' : `After the switch it sends changes under the leaves' names, unless it publishes via the root`}`,
      fix: choices
        .map(
          (each) =>
            `--decide ${option}=${each} (${each === 'root' ? `${viaRoot ? 'it goes on publishing' : 'it is set to publish'} via the root: subscribers see ${label(source)} as before` : 'subscribers see the leaves: they need tables of those names'})`,
        )
        .join('; or '),
    });
  }
  const lost = lostIdentity(publication, table, partitionKey);
  if (lost !== null) return only({ ...base, fate: 'blocks', ...lost });
  const setRoot = choice === 'root' && !viaRoot;
  if ((isExplicit || setRoot) && !mayAlter) {
    return notOurs(base, owner);
  }
  const step = (sql: string, why: string): DdlStep => ({ sql, lock: `SHARE UPDATE EXCLUSIVE on ${label(source)}`, why });
  return {
    ...NOTHING,
    fates: [
      {
        ...base,
        fate: isExplicit || setRoot ? 'moved in the swap' : 'stays',
        how: `${isExplicit ? 'the partitioned table is in it instead, with column list and row filter' : `${how}: has every table`}; ${choice === 'leaves' ? "sends the leaves' names" : `sends the name ${label(source)}`}`,
        ...(setRoot && hasPartitioned
          ? { warning: `publication ${name} has other partitioned tables: they are sent under their root's name too from the switch on` }
          : {}),
        ...(isExplicit ? {} : { warning: `publication ${name} ${how}: ${LEAK}` }),
      },
    ],
    retire: isExplicit
      ? [step(`alter publication ${quoteIdent(name)} drop table ${quoteName(source)}`, 'the retired table is no longer sent')]
      : [],
    restore: [
      ...(setRoot
        ? [
            {
              sql: `alter publication ${quoteIdent(name)} set (publish_via_partition_root = true)`,
              lock: 'none',
              why: 'subscribers see the name as before',
            },
          ]
        : []),
      ...(isExplicit
        ? [
            step(
              `alter publication ${quoteIdent(name)} add table ${quoteName(source)}${membership(columns, rowFilter)}`,
              'the partitioned table is sent',
            ),
          ]
        : []),
    ],
  };
}

/** Without the widened key's new column in its list, PostgreSQL would refuse the application's own UPDATE and DELETE. */
function lostIdentity(
  { name, columns, rowFilter, needsIdentity }: Publication,
  table: SourceTable,
  partitionKey: string,
): { readonly how: string; readonly fix: string } | null {
  if (columns === null || !needsIdentity || columns.includes(partitionKey)) return null;
  if (table.replicaIdentity !== 'd' || !isKeyWidened(table, partitionKey)) return null;
  return {
    how: `its column list lacks ${partitionKey}, which is in the primary key after the switch: UPDATE and DELETE would be refused`,
    fix: `ALTER PUBLICATION ${quoteIdent(name)} DROP TABLE ${quoteName(table)}; ALTER PUBLICATION ${quoteIdent(name)} ADD TABLE ${quoteName(table)}${membership([...columns, partitionKey], rowFilter)};`,
  };
}

/** A publication that the swap has to alter, and our role may not. */
export function notOurs(publication: Pick<Fate, 'kind' | 'name' | 'check'>, owner: string): Carried {
  return only({
    ...publication,
    fate: 'blocks',
    how: `it belongs to ${owner}, and our role may not alter it`,
    fix: `GRANT ${quoteIdent(owner)} TO CURRENT_USER;`,
  });
}

/** Column list and filter; pg_get_expr prints a filter with parentheses where it has an operator, and without where it is a column or a constant. */
export function membership(columns: readonly string[] | null, rowFilter: string | null): string {
  return `${columns === null ? '' : ` (${columns.map(quoteIdent).join(', ')})`}${rowFilter === null ? '' : ` where (${rowFilter})`}`;
}
