import type { CheckDefinition } from './check-definition.ts';

const BOUND = 'It is bound to the table by its identity, not by its name: left alone it would go on with the retired table.';

/** What hangs on the table: what becomes of each object. */
export const DEPENDENT_CHECKS = {
  'foreign-keys-out': {
    worst: 'blocker',
    title: 'its foreign keys can be carried',
    why: 'A foreign key on the new table before the switch would refuse the deletion of a row whose referencing rows the stream has not removed yet. It comes with the switch, NOT VALID, and is validated after it. One that references its own table is not carried.',
    fix: 'GRANT REFERENCES ON … TO …; for one that references its own table: --decide foreign-key:…=drop',
  },
  'foreign-keys-in': {
    worst: 'blocker',
    title: 'the foreign keys that reference it can be kept',
    why: 'A foreign key needs a unique index on exactly what it references. Where the primary key gets the partition column, there is none on the old key alone: the foreign key has to go, or to name the partition column too.',
    fix: '--decide foreign-key:SCHEMA.TABLE.CONSTRAINT=drop, or =widen:COLUMN',
  },
  triggers: {
    worst: 'blocker',
    title: 'its triggers can be carried',
    why: 'Triggers come with the switch; before it they would fire twice. PostgreSQL refuses row triggers with transition tables on a partitioned table, and an UPDATE that moves a row to another leaf fires DELETE and INSERT triggers.',
    fix: 'DROP TRIGGER … ON …; or make it a statement trigger',
  },
  rules: {
    worst: 'blocker',
    title: 'it has no rule, and the rules that use it can be replaced',
    why: 'A rule of the table rewrites its statements; PostgreSQL does not take over rules to partitioned tables in the same sense. Rules of other relations are replaced in place.',
    fix: 'DROP RULE … ON …; and use a trigger',
  },
  views: {
    worst: 'blocker',
    title: 'the views that read it can be replaced',
    why: `${BOUND} A view is replaced in place by its own definition, and stays the same object.`,
    fix: 'DROP VIEW …; and make it again after the cutover.',
  },
  functions: {
    worst: 'blocker',
    title: 'the functions that are bound to it can be replaced',
    why: `${BOUND} A body of SQL-standard form is replaced in place. A function with the row type in its signature is dropped and made again. Functions whose body is text, PL/pgSQL for one, find the table by its name and need nothing.`,
    fix: 'DROP ROUTINE …; and make it again after the cutover.',
  },
  'row-type': {
    worst: 'blocker',
    title: 'nothing is made of its row type',
    why: BOUND,
    fix: 'Use a composite type of its own (CREATE TYPE).',
  },
  'row-security': {
    worst: 'blocker',
    title: 'its policies can be carried, and hide nothing from us',
    why: 'Policies are made on the new table in the switch, before anybody can read it. A role that policies apply to would copy only the rows that it sees.',
    fix: 'ALTER TABLE … NO FORCE ROW LEVEL SECURITY; or ALTER ROLE … BYPASSRLS;',
  },
  'policies-elsewhere': {
    worst: 'blocker',
    title: 'the policies of other tables that read it can be set again',
    why: BOUND,
    fix: 'DROP POLICY … ON …; and make it again after the cutover.',
  },
  publications: {
    worst: 'blocker',
    title: 'its publications are decided on',
    why: 'After the switch a publication sends changes under the names of the leaves, unless it publishes via the root. A publication of the whole schema or of all tables would besides send the backfill to its subscribers, in tables that they do not have.',
    fix: '--decide publication:NAME=root, or =leaves',
  },
  subscriptions: {
    worst: 'blocker',
    title: 'no subscription writes it',
    why: 'A subscription writes into the table by its identity, and would go on with the retired one.',
    fix: 'Take the table out of the publication it comes from, then ALTER SUBSCRIPTION … REFRESH PUBLICATION;',
  },
  'extended-statistics': {
    worst: 'blocker',
    title: 'its extended statistics can be carried',
    why: 'They are made anew on the new table and on each leaf, and take over the name.',
    fix: 'ALTER STATISTICS … OWNER TO …;',
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
  decisions: {
    worst: 'blocker',
    title: 'each decision names something that is there',
    why: 'A decision with a mistyped name would leave the real object undecided.',
    fix: 'Take the flag --decide out, or correct the name.',
  },
  'other-dependents': {
    worst: 'blocker',
    title: 'nothing else depends on it',
    why: 'This version does not know how to carry it. It is named rather than lost in silence.',
    fix: 'Drop it, and make it again after the cutover.',
  },
} as const satisfies Record<string, CheckDefinition>;
