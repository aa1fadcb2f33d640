import { DEPENDENT_CHECKS } from './checks-dependents.ts';
import { ROLE_CHECKS } from './checks-role.ts';
import { SERVER_CHECKS } from './checks-server.ts';
import { TABLE_CHECKS } from './checks-table.ts';
import type { CheckDefinition } from './check-definition.ts';

/** Every check there is: the reference is generated from this. */
export const CHECKS: Readonly<Record<CheckId, CheckDefinition>> = {
  ...SERVER_CHECKS,
  ...ROLE_CHECKS,
  ...TABLE_CHECKS,
  ...DEPENDENT_CHECKS,
};

export type CheckId = keyof typeof SERVER_CHECKS | keyof typeof ROLE_CHECKS | keyof typeof TABLE_CHECKS | keyof typeof DEPENDENT_CHECKS;

/** The checks by what they look at, in the reference's order. */
export const CHECK_AREAS = [
  { title: 'Server', checks: SERVER_CHECKS },
  { title: 'Role', checks: ROLE_CHECKS },
  { title: 'Table and partitioning', checks: TABLE_CHECKS },
  { title: 'What hangs on the table', checks: DEPENDENT_CHECKS },
] as const;
