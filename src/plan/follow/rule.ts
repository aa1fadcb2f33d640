import type { QualifiedName } from '../../domain/identifier.ts';
import type { DdlStep, MigrationPlan } from '../migration-plan.ts';

/** What the migration has made so far. */
export interface FollowContext {
  readonly id: number;
  readonly plan: MigrationPlan;
  /** Every leaf that is there. */
  readonly leaves: readonly QualifiedName[];
  /** Where ALTER TABLE is given, and reaches every leaf: the target, the staging parent, leaves that are nobody's partition yet. */
  readonly roots: readonly QualifiedName[];
}

/** One kind of change, looked at by itself. */
export interface Followed {
  /** In words, for the history. */
  readonly what: readonly string[];
  readonly steps: readonly DdlStep[];
}

/** Thrown by the rules: what they cannot follow. */
export class CannotFollow extends Error {}
