import { formatCount } from '../../domain/quantity.ts';
import { quoteIdent, quoteName, type QualifiedName } from '../../domain/identifier.ts';
import { identifierOf, tokenizeSql } from '../../domain/sql-tokens.ts';
import { passed, unread, warning, type Finding } from './finding.ts';
import type { PlanReading } from './statement-plan.ts';
import type { StatementText } from './statement-text.ts';

/** What came of planning a statement on the empty twin. */
export type StatementOutcome =
  | { readonly kind: 'planned'; readonly reading: PlanReading }
  /** The planner refuses it there, and not on the table as it is. */
  | { readonly kind: 'fails'; readonly message: string }
  | { readonly kind: 'unknown'; readonly reason: string };

export interface StatementFacts {
  readonly query: string;
  readonly calls: number;
  readonly meanMs: number;
  readonly text: StatementText;
  readonly outcome: StatementOutcome;
}

export interface StatementsContext {
  readonly table: QualifiedName;
  readonly partitionColumn: string;
  /** The primary key as it is. */
  readonly primary: { readonly name: string; readonly columns: readonly string[] } | null;
  /** Unique indexes: their columns, and those that they have after the switch; null for one that is not there any more. */
  readonly unique: readonly { readonly columns: readonly string[]; readonly becomes: readonly string[] | null }[];
}

const ID = 'statements';
/** Of each kind; more are counted. */
const SHOWN = 10;
const SHORT = 120;

/** The statements that the switch makes fail, or makes slower, or gives another meaning: most of the time first. */
export function decideStatements(facts: readonly StatementFacts[], context: StatementsContext): Finding[] {
  const name = `${context.table.schema}.${context.table.name}`;
  const used = facts.filter(({ outcome, text }) => outcome.kind !== 'planned' || outcome.reading.uses || text.only);
  const findings = [
    ...group(used, (one) => decideFailure(one, context), 'will fail after the switch'),
    ...group(used, (one) => decideMeaning(one, context), 'change their meaning with the switch'),
    ...group(used, (one) => decidePruning(one, context), 'will look into every leaf'),
  ];
  const unknown = used.filter(({ outcome }) => outcome.kind === 'unknown');
  if (unknown.length > 0) {
    const reasons = [...new Set(unknown.map(({ outcome }) => (outcome.kind === 'unknown' ? outcome.reason : '')))];
    findings.push(
      unread(
        ID,
        name,
        `${unknown.length} of ${used.length} statements could not be planned on an empty partitioned table, the costliest: ${shorten(unknown[0]!.query)} (${reasons.slice(0, 3).join('; ')})`,
      ),
    );
  }
  return findings.length > 0
    ? findings
    : [
        passed(
          ID,
          name,
          used.length === 0
            ? 'pg_stat_statements has no statement on it'
            : `${used.length === 1 ? 'one statement' : `${used.length} statements`} of pg_stat_statements, each keeps to some leaves`,
        ),
      ];
}

/** What was not there to be looked at is no fault of the table. */
export function decideStatementsAbsent(table: QualifiedName, reason: string): Finding {
  return passed(ID, `${table.schema}.${table.name}`, `not looked at: ${reason}`);
}

function group(facts: readonly StatementFacts[], decide: (facts: StatementFacts) => Finding | null, what: string): Finding[] {
  const findings = facts.flatMap((one) => decide(one) ?? []);
  if (findings.length <= SHOWN) return findings;
  const rest = findings.length - SHOWN;
  return [
    ...findings.slice(0, SHOWN),
    warning(
      ID,
      `${rest} more`,
      `${rest} more statements ${what}`,
      'mend the ones above, then SELECT pg_stat_statements_reset(); and check again after a while',
    ),
  ];
}

function decideFailure({ outcome, text, ...facts }: StatementFacts, { table, unique }: StatementsContext): Finding | null {
  if (outcome.kind !== 'fails' || text.conflict?.kind !== 'columns') return null;
  const columns = tokenizeSql(text.conflict.text).flatMap((token) => identifierOf(token) ?? []);
  const isMeant = (one: readonly string[]): boolean => one.length === columns.length && one.every((column) => columns.includes(column));
  const becomes = unique.find((index) => isMeant(index.columns))?.becomes ?? null;
  return warning(
    ID,
    objectOf(facts.query),
    `${describe(facts)} will FAIL after the switch, each time it is run: ON CONFLICT (${text.conflict.text}) finds no unique index any more ("${outcome.message}")`,
    becomes === null
      ? 'take the clause out before the cutover, and let the application look whether the row is there'
      : `write ON CONFLICT (${columnsOf(becomes)}), which is what is unique after the cutover; CREATE UNIQUE INDEX CONCURRENTLY ON ${quoteName(table)} (${becomes.map(quoteIdent).join(', ')}); lets it run before, too`,
  );
}

/** It runs on, and does something else than before. */
function decideMeaning(
  { outcome, text, ...facts }: StatementFacts,
  { table, primary, partitionColumn }: StatementsContext,
): Finding | null {
  if (outcome.kind !== 'planned') return null;
  const name = `${table.schema}.${table.name}`;
  if (text.only) {
    return warning(
      ID,
      objectOf(facts.query),
      `${describe(facts)} says ONLY: after the switch it will find no row, for the rows are in the leaves`,
      'leave ONLY out',
    );
  }
  if (outcome.reading.arbiters === null || primary === null || primary.columns.includes(partitionColumn)) return null;
  const becomes = `(${columnsOf(widened(primary.columns, partitionColumn))})`;
  if (text.conflict?.kind === 'constraint' && text.conflict.name === primary.name) {
    return warning(
      ID,
      objectOf(facts.query),
      `${describe(facts)} goes by the constraint ${primary.name}, which keeps its name and becomes ${becomes}: a row with the same ${columnsOf(primary.columns)} and another ${partitionColumn} is no conflict any more, and is inserted`,
      `nothing, if a ${columnsOf(primary.columns)} always comes with the same ${partitionColumn}`,
    );
  }
  if (text.conflict?.kind !== 'any') return null;
  return warning(
    ID,
    objectOf(facts.query),
    `${describe(facts)} does nothing on a conflict, and the primary key of ${name} becomes ${becomes}: a row with the same ${columnsOf(primary.columns)} and another ${partitionColumn} is no conflict any more, and is inserted`,
    `nothing, if a ${columnsOf(primary.columns)} always comes with the same ${partitionColumn}`,
  );
}

function decidePruning({ outcome, ...facts }: StatementFacts, { partitionColumn }: StatementsContext): Finding | null {
  if (outcome.kind !== 'planned' || !outcome.reading.all) return null;
  const key = quoteIdent(partitionColumn);
  return warning(
    ID,
    objectOf(facts.query),
    `${describe(facts)} has no condition on ${partitionColumn} that leaves can be left out by: after the switch it will look into every one of them`,
    `add a plain comparison of the column: AND ${key} >= … AND ${key} < … (a function or a cast of the column does not do); through an index a few leaves cost little`,
  );
}

function describe({ query, calls, meanMs }: Pick<StatementFacts, 'query' | 'calls' | 'meanMs'>): string {
  return `${shorten(query)} (${formatCount(calls)} ${calls === 1 ? 'call' : 'calls'}, ${meanMs < 100 ? Number(meanMs.toPrecision(2)) : Math.round(meanMs)} ms each)`;
}

/** On one line, without comments. */
function shorten(query: string): string {
  const line = tokenizeSql(query)
    .map(({ kind, text }) => (kind === 'space' || kind === 'comment' ? ' ' : text))
    .join('')
    .replaceAll(/ +/g, ' ')
    .trim();
  return line.length <= SHORT ? line : `${line.slice(0, SHORT - 1).trimEnd()}…`;
}

/** The verb and a number that stays the same from check to check: the text itself would be too long for a name. */
function objectOf(query: string): string {
  const verb = tokenizeSql(query).find(({ kind }) => kind === 'word');
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(query)) hash = Math.imul(hash ^ byte, 0x01000193);
  return `${verb === undefined ? 'statement' : (identifierOf(verb) ?? 'statement')} ${(hash >>> 0).toString(16).padStart(8, '0')}`;
}

function widened(columns: readonly string[], partitionColumn: string): readonly string[] {
  return columns.includes(partitionColumn) ? columns : [...columns, partitionColumn];
}

function columnsOf(columns: readonly string[]): string {
  return columns.join(', ');
}
