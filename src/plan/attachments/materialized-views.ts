import type { MaterializedView } from '../../domain/attachments.ts';
import { quoteIdent, quoteLiteral, quoteName, type QualifiedName } from '../../domain/identifier.ts';
import type { Index, SourceTable } from '../../domain/table.ts';
import { isKeyWidened } from '../decisions.ts';
import { grantAll, grantColumns, revokeDefaults, rowTypeSql } from '../grants.ts';
import { createIndexSql, indexStatisticsSql, storageClause } from '../index-sql.ts';
import type { DdlStep } from '../migration-plan.ts';
import { retiredObjectName, twinName } from '../names.ts';
import { columnSettings, createStatisticsSql } from '../target.ts';
import { label, lockView, only, type AttachmentContext, type Carried } from './carried.ts';

/**
 * A materialized view cannot be replaced in place, and filling one takes as long as its query: a twin over the partitioned table is
 * made and filled before the lock, and takes the name in the swap.
 */
export interface Twin {
  readonly view: MaterializedView;
  readonly twin: QualifiedName;
  /** Makes it empty, while what it reads has the names of what it is to be bound to. */
  readonly create: DdlStep;
  /** Its indexes and settings; run after it is filled. */
  readonly finish: readonly DdlStep[];
}

/** What a twin is made from: the view, and its columns, indexes, privileges as the catalog has them. */
export interface MaterializedViewFacts {
  readonly view: MaterializedView;
  readonly table: SourceTable;
}

export function planTwin({ view, table }: MaterializedViewFacts, id: number): Twin {
  const twin = { schema: view.schema, name: twinName(id, view.oid) };
  const on = quoteName(twin);
  const step = (sql: string, why: string): DdlStep => ({ sql, lock: 'none', why });
  const alter = [
    ...columnSettings(table),
    ...view.storage.map(({ name, storage }) => `alter column ${quoteIdent(name)} set storage ${storage}`),
    ...view.compression.map(({ name, compression }) => `alter column ${quoteIdent(name)} set compression ${compression}`),
    ...(table.owner === table.sessionRole ? [] : [`owner to ${quoteIdent(table.owner)}`]),
  ];
  return {
    view,
    twin,
    create: step(
      [
        `create materialized view ${on}`,
        table.accessMethod === '' ? '' : `using ${quoteIdent(table.accessMethod)}`,
        storageClause(table.options),
        table.tablespace === null ? '' : `tablespace ${quoteIdent(table.tablespace)}`,
        `as ${view.definition.replace(/;\s*$/, '')} with no data`,
      ]
        .filter((part) => part !== '')
        .join(' '),
      `the twin of ${label(view)}`,
    ),
    finish: [
      ...table.indexes
        .filter(({ isValid }) => isValid)
        .flatMap((index) => planIndex(index, twin, id).map((sql) => step(sql, `its ${index.name}`))),
      ...table.statistics
        .flatMap((statistics, position) => createStatisticsSql(statistics, twinStatistics(statistics, twin, position), twin, table))
        .map((sql) => step(sql, 'extended statistics')),
      ...(alter.length === 0 ? [] : [step(`alter materialized view ${on} ${alter.join(', ')}`, 'settings of its columns, owner')]),
      ...[
        revokeDefaults(table, 'table', twin),
        ...grantAll(table.grants, 'table', twin, table),
        ...grantColumns(table, twin),
        ...rowTypeSql(table, twin),
        table.comment === null ? null : `comment on materialized view ${on} is ${quoteLiteral(table.comment)}`,
        ...table.columns.map(({ name, comment }) =>
          comment === null ? null : `comment on column ${on}.${quoteIdent(name)} is ${quoteLiteral(comment)}`,
        ),
      ]
        .filter((sql) => sql !== null)
        .map((sql) => step(sql, 'privileges and comments')),
    ],
  };
}

function planIndex(index: Index, twin: QualifiedName, id: number): string[] {
  const made = { schema: twin.schema, name: twinName(id, String(index.oid)) };
  return [
    createIndexSql(index, made.name, twin, ''),
    ...[
      indexStatisticsSql(index, made),
      index.isClustered ? `alter materialized view ${quoteName(twin)} cluster on ${quoteIdent(made.name)}` : null,
      index.comment === null ? null : `comment on index ${quoteName(made)} is ${quoteLiteral(index.comment)}`,
    ].filter((sql) => sql !== null),
  ];
}

export function planMaterializedView(facts: MaterializedViewFacts, { table: source, partitionKey, id }: AttachmentContext): Carried {
  const { view, table } = facts;
  const base = { kind: 'materialized view', name: label(view), check: 'views' } as const;
  const drop = `DROP MATERIALIZED VIEW ${quoteName(view)}; and make it again after the cutover`;
  const blocks = (how: string, fix = drop): Carried => only({ ...base, fate: 'blocks', how, fix });
  if (view.extension !== null) return blocks(`it belongs to extension ${view.extension}`);
  if (!view.mayAlter)
    return blocks(`it belongs to ${view.owner}, and our role may not make another`, `GRANT ${quoteIdent(view.owner)} TO CURRENT_USER;`);
  const foreign = table.statistics.find(({ mayAlter }) => !mayAlter);
  if (foreign) {
    return blocks(
      `its statistics ${label(foreign)} belong to ${foreign.owner}, or our role may not create in their schema`,
      `DROP STATISTICS ${quoteName(foreign)};`,
    );
  }
  if (view.needsKey && isKeyWidened(source, partitionKey))
    return blocks(`it groups by the primary key alone, which is (…, ${partitionKey}) after the switch`);
  const { twin } = planTwin(facts, id);
  const valid = table.indexes.filter(({ isValid }) => isValid);
  // REFRESH CONCURRENTLY asks for a unique index over all rows, on columns.
  const concurrently =
    view.ownerMayTemp &&
    valid.some(({ isUnique, predicate, keyColumns }) => isUnique && predicate === null && keyColumns.every((column) => column !== null));
  return {
    fates: [
      {
        ...base,
        fate: 'created before, swapped',
        how: `a twin is filled before the lock and takes its name${concurrently ? '; refreshed once more after it' : ''}; the old one is kept beside the retired table`,
      },
    ],
    first: [],
    next: [lockView('materialized view', view, view.owner, 'a refresh of it reads the table')],
    retire: [],
    restore: [
      rename('materialized view', view, retiredObjectName(id, view.name), 'makes way for its twin'),
      ...valid.map((index) => rename('index', index, retiredObjectName(id, index.name), 'its name goes to the twin’s')),
      rename('materialized view', twin, view.name, 'filled over the partitioned table'),
      ...valid.map((index) =>
        rename('index', { schema: view.schema, name: twinName(id, String(index.oid)) }, index.name, 'the name as before'),
      ),
      ...table.statistics.flatMap((statistics, position) => [
        rename('statistics', statistics, retiredObjectName(id, statistics.name), 'their name goes to the twin’s'),
        rename('statistics', twinStatistics(statistics, twin, position), statistics.name, 'the name as before'),
      ]),
    ],
    after:
      concurrently && view.populated
        ? [
            {
              object: `materialized view ${label(view)}`,
              sql: `refresh materialized view concurrently ${quoteName(view)}`,
              lock: `EXCLUSIVE on ${label(view)}`,
              why: 'it may have been refreshed while its twin was filled',
            },
          ]
        : [],
  };
}

/** They may be in another schema than the view. */
function twinStatistics({ schema }: QualifiedName, twin: QualifiedName, position: number): QualifiedName {
  return { schema, name: `${twin.name}_e${position}` };
}

function rename(kind: string, from: QualifiedName, to: string, why: string): DdlStep {
  return {
    sql: `alter ${kind} ${quoteName({ schema: from.schema, name: from.name })} rename to ${quoteIdent(to)}`,
    lock:
      kind === 'materialized view'
        ? `ACCESS EXCLUSIVE on ${label(from)}`
        : kind === 'index'
          ? `SHARE UPDATE EXCLUSIVE on ${label(from)}`
          : 'none',
    why,
  };
}
