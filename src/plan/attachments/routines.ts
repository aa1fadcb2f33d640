import type { Attachments, Routine } from '../../domain/attachments.ts';
import { quoteIdent, quoteLiteral } from '../../domain/identifier.ts';
import { isKeyWidened } from '../decisions.ts';
import type { DdlStep } from '../migration-plan.ts';
import { NOTHING, only, type AttachmentContext, type Carried } from './carried.ts';

/**
 * A body of SQL-standard form is bound to the table: replacing it with its own text binds it anew. A signature with the row type
 * cannot be replaced: such a routine is dropped and made again, which only works while nothing depends on it.
 */
export function planRoutine(routine: Routine, { table, partitionKey }: AttachmentContext): Carried {
  const { identity, definition, isInSignature, dependents, owner, mayAlter, mayCreate, extension, usesRowType, hasSqlBody, needsKey } =
    routine;
  const base = { kind: 'routine', name: identity, check: 'functions' } as const;
  const blocks = (how: string, fix = `DROP ROUTINE ${identity}; and make it again after the cutover`): Carried =>
    only({ ...base, fate: 'blocks', how, fix });
  if (definition === null) return blocks('aggregates and window functions over the row type are not carried');
  if (extension !== null) return blocks(`it belongs to extension ${extension}`);
  if (!mayAlter) return blocks(`it belongs to ${owner}, and our role may not replace it`, `GRANT ${quoteIdent(owner)} TO CURRENT_USER;`);
  if (!mayCreate) return blocks('our role may not create in its schema', 'GRANT CREATE ON SCHEMA … TO CURRENT_USER;');
  if (needsKey && isKeyWidened(table, partitionKey))
    return blocks(`it groups by the primary key alone, which is (…, ${partitionKey}) after the switch`);
  const create: DdlStep = { sql: definition, lock: 'none', why: 'names what has the name by now' };
  if (!isInSignature) {
    if (usesRowType && !hasSqlBody) return blocks('it uses the row type in a way that is not known');
    return {
      ...NOTHING,
      fates: [{ ...base, fate: 'moved in the swap', how: 'replaced in place: the same object, with its privileges' }],
      restore: [create],
    };
  }
  if (dependents.length > 0)
    return blocks(
      `the row type is in its signature, so it has to be made anew, and ${dependents.join(', ')} depends on it`,
      `DROP ROUTINE ${identity} CASCADE; and make all of them again after the cutover`,
    );
  return {
    ...NOTHING,
    fates: [
      {
        ...base,
        fate: 'moved in the swap',
        how: 'the row type is in its signature: dropped and made again, with owner, privileges and comment',
      },
    ],
    retire: [{ sql: `drop routine ${identity}`, lock: 'none', why: 'its signature has the row type of the retired table' }],
    restore: [create, ...restoreRoutine(routine)],
  };
}

function restoreRoutine({ identity, owner, grants, comment, defaultGrantees }: Routine): DdlStep[] {
  const step = (sql: string, why: string): DdlStep => ({ sql, lock: 'none', why });
  return [
    step(
      `revoke all on routine ${identity} from ${['public', 'current_user', ...defaultGrantees.map(quoteIdent)].join(', ')}`,
      'what a new routine gives away',
    ),
    ...grants.map(({ grantee, grantable }) =>
      step(
        `grant execute on routine ${identity} to ${grantee === null ? 'public' : quoteIdent(grantee)}${grantable ? ' with grant option' : ''}`,
        'privileges',
      ),
    ),
    ...(comment === null ? [] : [step(`comment on routine ${identity} is ${quoteLiteral(comment)}`, 'comment')]),
    step(`alter routine ${identity} owner to ${quoteIdent(owner)}`, 'owner'),
  ];
}

export function planMention({ identity, language }: Attachments['mentions'][number]): Carried {
  return only({
    kind: 'routine (hint)',
    name: identity,
    fate: 'stays',
    check: 'functions',
    how: `its ${language} text has the table's name: it finds the table by name, each time`,
  });
}
