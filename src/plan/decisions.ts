import type { SourceTable, UniqueChoice } from '../domain/table.ts';
import { MigratorError } from '../errors.ts';
import { primaryKeyColumns } from './index-sql.ts';
import type { PlanOptions } from './options.ts';

/** By `KIND:NAME`, as `--decide KIND:NAME=CHOICE` gives them. */
export type Decisions = Readonly<Record<string, string>>;

const UNIQUE_CHOICES: readonly UniqueChoice[] = ['widen', 'per-leaf', 'drop'];

/** Throws USAGE when the text is not KIND:NAME=CHOICE. The choice begins after the last `=`: names may hold one. */
export function parseDecisions(texts: readonly string[]): Decisions {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.lastIndexOf('=');
      if (at <= 0 || at === text.length - 1 || !/^(unique|foreign-key|publication):./.test(text)) {
        throw new MigratorError('USAGE', `--decide "${text}" is not KIND:NAME=CHOICE`, {
          hint: 'the check prints what is to be decided, with its choices: --decide unique:events_email_key=widen',
        });
      }
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

/** The decision on an object, if it is one of the choices; USAGE when it is another. A choice `widen:` takes an argument. */
export function decisionOn(decisions: Decisions, key: string, choices: readonly string[]): string | null {
  const choice = decisions[key];
  if (choice === undefined) return null;
  if (choices.includes(choice) || choices.some((known) => known.endsWith(':') && choice.startsWith(known) && choice.length > known.length))
    return choice;
  throw new MigratorError('USAGE', `--decide ${key}=${choice}: there is no such choice`, {
    hint: `one of: ${choices.map((known) => (known.endsWith(':') ? `${known}COLUMN` : known)).join(', ')}`,
  });
}

/** The unique indexes that cannot hold over all leaves, because the partition key is not among their columns. */
export function undecidable(table: SourceTable, partitionKey: string): SourceTable['indexes'] {
  return table.indexes.filter(
    (index) =>
      index.isUnique && index.isValid && !index.isPrimary && index.constraint?.type !== 'x' && !index.keyColumns.includes(partitionKey),
  );
}

/** The table with what was decided of its unique indexes: the planners read it there. */
export function withDecisions(table: SourceTable, { range, decisions = {} }: Pick<PlanOptions, 'range' | 'decisions'>): SourceTable {
  const open = new Set(undecidable(table, range));
  return {
    ...table,
    indexes: table.indexes.map((index) => {
      if (!open.has(index)) return index;
      const choice = decisionOn(decisions, `unique:${index.name}`, UNIQUE_CHOICES);
      return choice === null ? index : { ...index, uniqueness: choice as UniqueChoice };
    }),
  };
}

/** Whether the primary key gets the partition key as a further column. */
export function isKeyWidened(table: SourceTable, partitionKey: string): boolean {
  const primary = table.indexes.find(({ isPrimary }) => isPrimary);
  return primary !== undefined && primaryKeyColumns(primary, partitionKey).length > primary.keyColumns.length;
}
