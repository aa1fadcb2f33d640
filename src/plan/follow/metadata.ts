import { quoteIdent, quoteLiteral, quoteName, type QualifiedName } from '../../domain/identifier.ts';
import type { SourceTable } from '../../domain/table.ts';
import { grantAll, grantColumns } from '../grants.ts';
import { storageClause } from '../index-sql.ts';
import type { DdlStep } from '../migration-plan.ts';
import type { Followed, FollowContext } from './rule.ts';

const step = (sql: string, why: string): DdlStep => ({ sql, lock: 'none', why });

/** All privileges on the table and its columns, taken back from whom the source had them granted to, and granted as it has them now. */
export function restateGrants(before: SourceTable, now: SourceTable, target: QualifiedName): Followed {
  const old = [...before.grants, ...before.columns.flatMap(({ grants }) => grants)];
  const grantees = [...new Set(old.map(({ grantee }) => grantee))].filter((grantee) => grantee !== now.owner);
  const on = quoteName(target);
  return {
    what: ['privileges'],
    steps: [
      ...grantees.map((grantee) => `revoke all on table ${on} from ${grantee === null ? 'public' : quoteIdent(grantee)} cascade`),
      ...grantAll(now.grants, 'table', target, now),
      ...grantColumns(now, target),
    ].map((sql) => step(sql, 'privileges, as the source has them now')),
  };
}

/** A partitioned table has no storage parameters; its leaves do. */
export function restateOptions(before: SourceTable, now: SourceTable, { leaves }: FollowContext): Followed {
  const gone = before.options.map((option) => option.slice(0, option.indexOf('=')));
  const set = storageClause(now.options).replace(/^with /, '');
  return {
    what: ['storage parameters'],
    steps: leaves.flatMap((leaf) => {
      const alter = `alter table ${quoteName(leaf)}`;
      const why = 'storage parameters, as the source has them now';
      return [
        ...(gone.length === 0 ? [] : [step(`${alter} reset (${gone.join(', ')})`, why)]),
        ...(set === '' ? [] : [step(`${alter} set ${set}`, why)]),
      ];
    }),
  };
}

/** Every comment of the table, its columns and constraints as it is now; of what has none it is taken away. Those of indexes come with the switch. */
export function restateComments(table: SourceTable, { plan }: FollowContext): Followed {
  const on = quoteName(plan.target);
  const is = (comment: string | null): string => (comment === null ? 'null' : quoteLiteral(comment));
  return {
    what: ['comments'],
    steps: [
      `comment on table ${on} is ${is(table.comment)}`,
      ...table.columns.map(({ name, comment }) => `comment on column ${on}.${quoteIdent(name)} is ${is(comment)}`),
      ...table.checks.map(({ name, comment }) => `comment on constraint ${quoteIdent(name)} on ${on} is ${is(comment)}`),
      ...table.notNullComments.map(({ name, comment }) => `comment on constraint ${quoteIdent(name)} on ${on} is ${is(comment)}`),
    ].map((sql) => step(sql, 'comments, as the source has them now')),
  };
}
