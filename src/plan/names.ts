import { MAX_IDENTIFIER_BYTES, truncateIdent } from '../domain/identifier.ts';

/*
 * Every object that is made beside the user's own carries `partitioner_<id>_`, so that it can be told, and told whose it is.
 * Leaves and their indexes are named after the table: they stay.
 */

/** The partitioned table before the cutover. */
export function targetName(id: number, table: string): string {
  return fit(`partitioner_${id}_target_${table}`);
}

/** The un-partitioned table after the cutover. */
export function retiredName(id: number, table: string): string {
  return fit(`partitioner_${id}_retired_${table}`);
}

/** An index or sequence of the retired table: its old name has gone to the target's. */
export function retiredObjectName(id: number, name: string): string {
  return fit(`partitioner_${id}_retired_${name}`);
}

/** An index, sequence or extended statistics of the target before the cutover. */
export function targetObjectName(id: number, kind: 'i' | 's' | 'e' | 'w', position: number): string {
  return `partitioner_${id}_${kind}${position}`;
}

/** The twin of a materialized view, or an index of it, before the cutover: by the object identifier of what it stands for. */
export function twinName(id: number, oid: string): string {
  return `partitioner_${id}_m${oid}`;
}

/** Slot names are cluster wide and may hold only a-z, 0-9 and _: the database is in it as a hash. */
export function slotName(id: number, database: string): string {
  return `partitioner_${id}_${hash(database)}`;
}

export function publicationName(id: number): string {
  return `partitioner_${id}`;
}

/** The migration that made an object, null when it is none of ours. */
export function migrationOf(name: string): number | null {
  const match = /^partitioner_(\d+)(?:_|$)/.exec(name);
  return match ? Number(match[1]) : null;
}

/**
 * The name of a leaf's index or extended statistics: `events_pkey` of `events` becomes `events_p2024_01_pkey`; a name that does not begin with the
 * table's is put behind the leaf's. The same on every call with the same arguments, so that a restart finds what it made.
 *
 * @param taken names that the leaf's other objects have; the new one is added.
 */
export function leafObjectName(leaf: string, table: string, of: string, taken: Set<string>): string {
  const rest = of.startsWith(`${table}_`) ? of.slice(table.length + 1) : of;
  for (let attempt = 0; ; attempt++) {
    const name = fit(`${leaf}_${rest}${attempt === 0 ? '' : `_${attempt}`}`);
    if (taken.has(name)) continue;
    taken.add(name);
    return name;
  }
}

/** Cuts to 63 bytes, with a hash of the whole at the end, so that names which differ go on to differ. */
function fit(name: string): string {
  if (new TextEncoder().encode(name).length <= MAX_IDENTIFIER_BYTES) return name;
  return `${truncateIdent(name, MAX_IDENTIFIER_BYTES - 9)}_${hash(name)}`;
}

/** FNV-1a, 32 bits, in 8 hexadecimal digits. */
function hash(text: string): string {
  let value = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193);
  return (value >>> 0).toString(16).padStart(8, '0');
}
