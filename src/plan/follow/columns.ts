import type { KnownDefinition, ObjectChange } from '../../domain/definition.ts';
import { quoteIdent, quoteLiteral, quoteName } from '../../domain/identifier.ts';
import type { Column } from '../../domain/table.ts';
import type { AddedColumn, CopiedColumn, DdlStep, LateDefinition } from '../migration-plan.ts';
import { columnSettings } from '../target.ts';
import { standIn } from './late.ts';
import { CannotFollow, type Followed, type FollowContext } from './rule.ts';

const STORAGE: Readonly<Record<string, string>> = { p: 'plain', e: 'external', m: 'main', x: 'extended' };
/** The collations that a type has by itself: none, the database's, and that of names. */
const OF_ITS_TYPE: ReadonlySet<unknown> = new Set(['0', '100', '950', 0, 100, 950]);

export interface FollowedColumns extends Followed {
  readonly columns: readonly CopiedColumn[];
  readonly added: readonly AddedColumn[];
  readonly late: LateDefinition;
}

/** New columns, defaults, NOT NULL and the settings of columns. Throws CannotFollow for what changes the values that are there. */
export function followColumns(
  changes: readonly ObjectChange[],
  before: KnownDefinition,
  now: KnownDefinition,
  { plan, roots }: FollowContext,
): FollowedColumns {
  const what: string[] = [];
  const alterations: string[] = [];
  const columns = [...plan.columns];
  const added = [...(plan.added ?? [])];
  const notNull = new Set(plan.late?.notNull ?? []);
  for (const change of changes.filter(({ kind }) => kind === 'column')) {
    const row = change.now;
    if (!row) {
      notNull.delete(String(change.before!.attname));
      throw new CannotFollow(`column "${String(change.before!.attname)}" was dropped`);
    }
    const column = now.table.columns.find(({ attnum }) => attnum === row.attnum)!;
    const name = `column "${column.name}"`;
    if (change.before) {
      stopAtColumn(
        change,
        column,
        before.table.columns.find(({ attnum }) => attnum === row.attnum)!,
      );
      alterations.push(...alterColumn(change, column, notNull, plan.partitionKey.name));
      what.push(`${name}: ${change.fields.map((field) => WORDS[field] ?? field).join(', ')}`);
      continue;
    }
    if (column.generated !== '') throw new CannotFollow(`${name} was added, and is generated`);
    if (column.identity !== '') throw new CannotFollow(`${name} was added, and is an identity`);
    if (column.sequence) throw new CannotFollow(`${name} was added, and owns a sequence`);
    if (!OF_ITS_TYPE.has(row.attcollation)) throw new CannotFollow(`${name} was added, and has a collation of its own`);
    if (now.table.binary !== plan.binary)
      throw new CannotFollow(`${name} was added, and its type cannot be sent in binary form as the others are`);
    const stored = now.storage.attributes.find(({ attnum }) => attnum === column.attnum)!;
    const missing = stored.hasMissing ? stored.missing : null;
    if (column.notNull && missing === null) notNull.add(column.name);
    columns.push({ name: column.name, type: column.type, typeOid: column.typeOid, wire: column.wire });
    added.push({ name: column.name, type: column.type, missing });
    alterations.push(...addColumn(column, missing, row));
    what.push(`${name} was added`);
  }
  const steps = roots.flatMap((root): DdlStep[] =>
    alterations.map((alteration) => ({
      sql: `alter table ${quoteName(root)} ${alteration}`,
      lock: `ACCESS EXCLUSIVE on ${root.schema}.${root.name}`,
      why: 'the source was altered likewise',
    })),
  );
  return {
    what,
    steps,
    columns,
    added,
    late: { checks: plan.late?.checks ?? [], notNull: [...notNull], indexComments: plan.late?.indexComments ?? false },
  };
}

const WORDS: Readonly<Record<string, string>> = {
  adbin: 'default',
  attnotnull: 'NOT NULL',
  attstorage: 'storage',
  attcompression: 'compression',
  nullif: 'statistics target',
  attoptions: 'options',
  attacl: 'privileges',
};

function stopAtColumn({ fields }: ObjectChange, now: Column, before: Column): void {
  const name = `column "${before.name}"`;
  if (fields.includes('attname')) throw new CannotFollow(`${name} was renamed to "${now.name}", and the name "${before.name}" is needed`);
  if (fields.some((field) => ['atttypid', 'atttypmod', 'attcollation'].includes(field)))
    throw new CannotFollow(`${name} has another type: ${now.type} is there, ${before.type} is needed`);
  if (fields.includes('attidentity')) throw new CannotFollow(`${name} is an identity column and was none, or the other way round`);
  if (fields.includes('attgenerated') || now.generated !== '')
    throw new CannotFollow(`${name} is generated, and what it is generated from was altered`);
  const unknown = fields.find((field) => WORDS[field] === undefined);
  if (unknown !== undefined) throw new CannotFollow(`${name} was altered (${unknown})`);
}

/**
 * Privileges are restated as a whole. Setting NOT NULL is left to the switch: the stream may still bring rows that break it. Dropped it is in any
 * case, with what stands for it: a switch that was taken back may have given it already.
 */
function alterColumn({ fields, before }: ObjectChange, column: Column, late: Set<string>, partitionKey: string): string[] {
  const of = `alter column ${quoteIdent(column.name)}`;
  return fields.flatMap((field): string[] => {
    switch (field) {
      case 'adbin':
        return [setDefault(column)];
      case 'attnotnull':
        if (column.notNull) {
          late.add(column.name);
          return [];
        }
        return [
          ...(late.delete(column.name) ? [`drop constraint if exists ${quoteIdent(standIn(column.name))}`] : []),
          // The target's primary key has it: a NULL in it cannot be stored, and is told of when it comes.
          ...(column.name === partitionKey ? [] : [`${of} drop not null`]),
        ];
      case 'attstorage':
      case 'attcompression':
        throw new CannotFollow(`column "${column.name}" has another storage or compression`);
      case 'nullif':
        return [`${of} set statistics ${column.statisticsTarget ?? -1}`];
      case 'attoptions': {
        const names = ((before!.attoptions as string[] | null) ?? []).map((option) => option.slice(0, option.indexOf('=')));
        return [
          ...(names.length === 0 ? [] : [`${of} reset (${names.join(', ')})`]),
          ...(column.options.length === 0 ? [] : [`${of} set (${column.options.join(', ')})`]),
        ];
      }
      default:
        return [];
    }
  });
}

function setDefault({ name, defaultExpression }: Column): string {
  return `alter column ${quoteIdent(name)} ${defaultExpression === null ? 'drop default' : `set default ${defaultExpression}`}`;
}

/** Rows that are there get what the source's have; the default of new ones may have been changed since. */
function addColumn(column: Column, missing: string | null, row: Readonly<Record<string, unknown>>): string[] {
  const ofMissing = missing === null ? '' : ` default ${quoteLiteral(missing)}::${column.type}${column.notNull ? ' not null' : ''}`;
  const name = quoteIdent(column.name);
  const storage = STORAGE[String(row.attstorage)];
  const compression = String(row.attcompression);
  return [
    `add column ${name} ${column.type}${ofMissing}`,
    setDefault(column),
    ...(storage === undefined ? [] : [`alter column ${name} set storage ${storage}`]),
    ...(compression === 'l' || compression === 'p' ? [`alter column ${name} set compression ${compression === 'l' ? 'lz4' : 'pglz'}`] : []),
    ...columnSettings({ columns: [column] }),
  ];
}
