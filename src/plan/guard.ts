import { quoteLiteral, quoteName, type QualifiedName } from '../domain/identifier.ts';
import type { DdlStep } from './migration-plan.ts';

/** On the target and its leaves, until the cutover; no trigger of the user's. */
const TRIGGER = 'partitioner_guard';
/** A setting that the trigger's function looks at: our own sessions have it. */
const PASS = 'partitioner.writes';

function guardFunction(id: number): QualifiedName {
  return { schema: 'partitioner', name: `guard_${id}` };
}

/**
 * Nobody but the migration writes to the target and its leaves before the cutover: what was compared once is not compared again unless the change stream
 * tells of it.
 */
export function createGuard(source: QualifiedName, id: number): string {
  const hint = quoteLiteral(`write to ${quoteName(source)}, the migration follows; or partitioner abort`);
  return guardBy(
    id,
    `if pg_catalog.current_setting('${PASS}', true) = '${id}' then return null; end if; ` +
      `raise object_not_in_prerequisite_state using message = pg_catalog.format('%I.%I is being filled by a migration, and takes no writes before its cutover', tg_table_schema, tg_table_name), ` +
      `hint = ${hint};`,
  );
}

/** As a literal: a name in it may hold dollar signs. */
function guardBy(id: number, body: string): string {
  return `create or replace function ${quoteName(guardFunction(id))}() returns trigger language plpgsql as ${quoteLiteral(`begin ${body} end`)}`;
}

/** Fires once a statement, and only for the table that the statement names: the target and each leaf have one. */
export function guardTable(name: QualifiedName, id: number): string {
  return `create or replace trigger ${TRIGGER} before insert or update or delete or truncate on ${quoteName(name)} for each statement execute function ${quoteName(guardFunction(id))}()`;
}

export function unguardTable(name: QualifiedName): string {
  return `drop trigger if exists ${TRIGGER} on ${quoteName(name)}`;
}

/**
 * @param triggers `cascade` removes those that are left, each under ACCESS EXCLUSIVE on its table and all in one transaction: for tables that the
 * application does not use.
 */
export function dropGuard(id: number, triggers: 'cascade' | 'restrict'): string {
  return `drop function if exists ${quoteName(guardFunction(id))}() ${triggers}`;
}

/** For the sessions that load and apply. */
export function passGuard(id: number): string {
  return `set ${PASS} = '${id}'`;
}

/** In the switch: open at once, without a lock on any leaf; the leaves' triggers are removed afterwards. */
export function openGuard(target: QualifiedName, id: number): DdlStep[] {
  return [
    {
      sql: guardBy(id, 'return null;'),
      lock: 'none',
      why: 'the leaves take writes from here on',
    },
    { sql: unguardTable(target), lock: `ACCESS EXCLUSIVE on ${target.schema}.${target.name}`, why: 'the target takes writes from here on' },
  ];
}
