import { quoteIdent, quoteName, type QualifiedName } from '../../domain/identifier.ts';
import type { SourceTable } from '../../domain/table.ts';
import type { Decisions } from '../decisions.ts';
import type { DdlStep } from '../migration-plan.ts';
import type { MaterializedViewFacts } from './materialized-views.ts';
import type { CheckId } from '../preflight/registry.ts';

/** What becomes of an object that hangs on the table. */
export interface Fate {
  readonly kind: string;
  readonly name: string;
  readonly fate: 'moved in the swap' | 'created before, swapped' | 'validated after' | 'needs your decision' | 'blocks' | 'stays';
  /** In a sentence, for people. */
  readonly how: string;
  /** The check that reports it. */
  readonly check: CheckId;
  /** What to know before the switch, where the same object will act differently. */
  readonly warning?: string;
  /** SQL or the flag that mends what blocks. */
  readonly fix?: string;
}

/** A statement that runs once the switch is committed; kept in partitioner.after_step until it is done. */
export interface AfterStep extends DdlStep {
  readonly object: string;
}

/** What one kind of object contributes. */
export interface Carried {
  readonly fates: readonly Fate[];
  /** Locks before any on the table: who writes it by way of the object holds a lock there, and would wait for us while we wait for it. */
  readonly first: readonly DdlStep[];
  /** Locks once writers are stopped and the stream is drained, before readers are: for who reads the table by way of the object. */
  readonly next: readonly DdlStep[];
  /** Under the old names, before the renames. */
  readonly retire: readonly DdlStep[];
  /** After the renames: the source's name is the partitioned table's. */
  readonly restore: readonly DdlStep[];
  readonly after: readonly AfterStep[];
}

export interface AttachmentContext {
  readonly table: SourceTable;
  readonly source: QualifiedName;
  readonly partitionKey: string;
  readonly decisions: Decisions;
  /** server_version_num */
  readonly version: number;
  /** The migration's, or what the next one will have. */
  readonly id: number;
  /** The materialized views, with what the catalog says of them as relations. */
  readonly materializedViews: readonly MaterializedViewFacts[];
  /** Every leaf of the target. */
  readonly leaves: readonly QualifiedName[];
}

export const NOTHING: Carried = { fates: [], first: [], next: [], retire: [], restore: [], after: [] };

export function join(parts: readonly Carried[]): Carried {
  return {
    fates: parts.flatMap(({ fates }) => fates),
    first: once(parts.flatMap(({ first }) => first)),
    next: once(parts.flatMap(({ next }) => next)),
    retire: parts.flatMap(({ retire }) => retire),
    restore: parts.flatMap(({ restore }) => restore),
    after: parts.flatMap(({ after }) => after),
  };
}

export function only(fate: Fate): Carried {
  return { ...NOTHING, fates: [fate] };
}

/** A relation is locked once, however many objects ask for it. */
function once(steps: readonly DdlStep[]): DdlStep[] {
  return [...new Map(steps.map((step) => [step.sql, step])).values()];
}

/** Locks a table by itself. */
export function lockTable(name: QualifiedName, mode: 'share row exclusive' | 'access exclusive', why: string): DdlStep {
  return { sql: `lock table only ${quoteName(name)} in ${mode} mode`, lock: `${mode.toUpperCase()} on ${label(name)}`, why };
}

/**
 * The same where our role may. LOCK TABLE asks for a privilege to write, the statements of the swap do not: without it they take
 * their locks as they come, and a cutover under steady traffic takes more attempts.
 */
export function lockIfAllowed(may: boolean, ...lock: Parameters<typeof lockTable>): DdlStep[] {
  return may ? [lockTable(...lock)] : [];
}

/**
 * Locks a view by itself: LOCK TABLE of a view takes its tables too, and knows no materialized views. To give it to its owner changes
 * nothing, under ACCESS EXCLUSIVE.
 */
export function lockView(kind: 'view' | 'materialized view', name: QualifiedName, owner: string, why: string): DdlStep {
  return { sql: `alter ${kind} ${quoteName(name)} owner to ${quoteIdent(owner)}`, lock: `ACCESS EXCLUSIVE on ${label(name)}`, why };
}

/** As people write it: `app.events`. */
export function label({ schema, name }: QualifiedName): string {
  return `${schema}.${name}`;
}
