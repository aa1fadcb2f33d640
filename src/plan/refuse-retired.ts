import { quoteIdent, quoteName, type QualifiedName } from '../domain/identifier.ts';
import type { SourceTable } from '../domain/table.ts';
import type { DdlStep } from './migration-plan.ts';

const TRIGGER = 'partitioner_refuse';

/** In the control schema, one for each migration: it belongs to whoever switches. */
export function refusalFunction(id: number): QualifiedName {
  return { schema: 'partitioner', name: `refuse_${id}` };
}

/**
 * The retired table refuses writes. Most statements that waited for the lock find the name anew, but the body of a routine in SQL-standard
 * form is bound to the table by its identity, and was read before the wait: it would write where nobody looks. With a serialization
 * failure the application knows that nothing was done, and tries again.
 */
export function refuseWrites({ owner, ownerLacks }: SourceTable, retired: QualifiedName, id: number): DdlStep[] {
  const routine = quoteName(refusalFunction(id));
  return [
    {
      sql:
        `create function ${routine}() returns trigger language plpgsql as $$begin ` +
        `raise serialization_failure using message = 'the table was partitioned while this statement waited for it', hint = 'run it again'; end$$`,
      lock: 'none',
      why: 'what a statement gets that still means the retired table',
    },
    ...(ownerLacks.includes('TRIGGER')
      ? [{ sql: `grant trigger on table ${quoteName(retired)} to ${quoteIdent(owner)}`, lock: 'none', why: 'it has taken it from itself' }]
      : []),
    {
      sql: `create trigger ${TRIGGER} before insert or update or delete or truncate on ${quoteName(retired)} for each statement execute function ${routine}()`,
      lock: `SHARE ROW EXCLUSIVE on ${retired.schema}.${retired.name}`,
      why: 'a routine that waited for the table with its SQL body read before would write to the retired one, in silence',
    },
  ];
}
