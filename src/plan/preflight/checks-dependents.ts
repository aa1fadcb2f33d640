import type { CheckDefinition } from './check-definition.ts';

const FOLLOWS = 'It is bound to the table by its identity, not by its name: after the switch it would go on with the retired table.';

/** What hangs on the table and is not carried yet. */
export const DEPENDENT_CHECKS = {
  'foreign-keys-out': {
    worst: 'blocker',
    title: 'it references no other table',
    why: 'Foreign keys are not carried yet; the new table would accept rows that the old one refuses.',
    fix: 'ALTER TABLE … DROP CONSTRAINT …;',
  },
  'foreign-keys-in': {
    worst: 'blocker',
    title: 'no other table references it',
    why: 'A foreign key needs a unique index on what it references; with the partition column in the primary key there is none on the key alone.',
    fix: 'ALTER TABLE … DROP CONSTRAINT …;',
  },
  triggers: {
    worst: 'blocker',
    title: 'it has no trigger',
    why: 'Triggers are not carried yet; the new table would not run them.',
    fix: 'DROP TRIGGER … ON …;',
  },
  rules: {
    worst: 'blocker',
    title: 'it has no rule',
    why: 'Rules are not carried yet.',
    fix: 'DROP RULE … ON …;',
  },
  views: {
    worst: 'blocker',
    title: 'no view reads it',
    why: FOLLOWS,
    fix: 'DROP VIEW …; and make it again after the cutover.',
  },
  functions: {
    worst: 'blocker',
    title: 'no function is bound to it or to its row type',
    why: `${FOLLOWS} (Functions whose body is text, PL/pgSQL for one, find the table by its name and need nothing.)`,
    fix: 'DROP ROUTINE …; and make it again after the cutover.',
  },
  'row-type': {
    worst: 'blocker',
    title: 'nothing is made of its row type',
    why: FOLLOWS,
    fix: 'Use a composite type of its own (CREATE TYPE).',
  },
  'row-security': {
    worst: 'blocker',
    title: 'row security is off and there is no policy',
    why: 'Policies are not carried yet; the new table would show every row.',
    fix: 'DROP POLICY … ON …; ALTER TABLE … DISABLE ROW LEVEL SECURITY;',
  },
  'policies-elsewhere': {
    worst: 'blocker',
    title: "no other table's policy reads it",
    why: FOLLOWS,
    fix: 'DROP POLICY … ON …; and make it again after the cutover.',
  },
  publications: {
    worst: 'blocker',
    title: 'no publication has it',
    why: "Membership is not carried yet. A publication of the whole schema or of all tables would besides send the backfill to its subscribers, under the leaves' names.",
    fix: 'ALTER PUBLICATION … DROP TABLE …;',
  },
  subscriptions: {
    worst: 'blocker',
    title: 'no subscription writes it',
    why: 'A subscription writes into the table by its identity, and would go on with the retired one.',
    fix: 'Take the table out of the publication it comes from, then ALTER SUBSCRIPTION … REFRESH PUBLICATION;',
  },
  'extended-statistics': {
    worst: 'blocker',
    title: 'it has no extended statistics',
    why: 'Extended statistics are not carried yet.',
    fix: 'DROP STATISTICS …; and make them again after the cutover.',
  },
  'security-labels': {
    worst: 'blocker',
    title: 'it carries no security label',
    why: 'Security labels are not carried: what they protect would be unprotected.',
    fix: 'SECURITY LABEL FOR … ON … IS NULL;',
  },
  'shared-sequences': {
    worst: 'blocker',
    title: 'nothing else uses its sequences',
    why: 'The sequence of a serial column goes on as it is. That of an identity column is replaced by that of the new table: what uses it by its identity would then hand out the same numbers again.',
    fix: 'Use a sequence of its own there (CREATE SEQUENCE).',
  },
  'other-dependents': {
    worst: 'blocker',
    title: 'nothing else depends on it',
    why: 'This version does not know how to carry it. It is named rather than lost in silence.',
    fix: 'Drop it, and make it again after the cutover.',
  },
} as const satisfies Record<string, CheckDefinition>;
