import type { KnownDefinition, ObjectChange } from '../../domain/definition.ts';
import { CannotFollow } from './rule.ts';

const IDENTITIES: Readonly<Record<string, string>> = { d: 'DEFAULT', f: 'FULL', n: 'NOTHING', i: 'USING INDEX' };

/** What is read of the table as a whole, and cannot change under a migration. */
const WHOLE: Readonly<Record<string, string>> = {
  relkind: 'it is another kind of relation',
  relpersistence: 'it was made logged or unlogged',
  relam: 'it has another access method',
  reltablespace: 'it was moved to another tablespace',
  reloftype: 'it was made a typed table',
  relispartition: 'it was made a partition',
};

/** Throws CannotFollow for what concerns the table as a whole. */
export function stopAtTable(changes: readonly ObjectChange[], before: KnownDefinition, { table: now }: KnownDefinition): void {
  const was = `${before.table.schema}.${before.table.name}`;
  for (const { kind, before: old, now: row, fields } of changes) {
    if (kind === 'inheritance') throw new CannotFollow('a table inherits from it, or it from another one (INHERIT)');
    if (kind === 'statistics') {
      const name = String((row ?? old)!.stxname);
      throw new CannotFollow(`extended statistics "${name}" were ${row === null ? 'dropped' : old === null ? 'made' : 'altered'}`);
    }
    if (kind !== 'table') continue;
    for (const field of fields) {
      const words = WHOLE[field];
      if (words !== undefined) throw new CannotFollow(words);
      if (field === 'relname')
        throw new CannotFollow(`it was renamed to ${now.schema}.${now.name}, and the name ${was} is needed until the cutover`);
      if (field === 'relnamespace')
        throw new CannotFollow(`it was moved to schema "${now.schema}", and ${was} is needed until the cutover`);
      if (field === 'relowner') throw new CannotFollow(`its owner is ${now.owner}, and was ${before.table.owner}`);
      if (field === 'relreplident')
        throw new CannotFollow(
          `its replica identity is ${IDENTITIES[now.replicaIdentity]!}, ${IDENTITIES[before.table.replicaIdentity]!} is needed`,
        );
      if (field === 'relrowsecurity') throw new CannotFollow(`row security was ${now.rowSecurity ? 'enabled' : 'disabled'}`);
    }
  }
}

/** The target's identity has a sequence of its own, which takes over the state and not the definition. */
export function stopAtIdentity(changes: readonly ObjectChange[]): void {
  for (const { kind, before, now } of changes) {
    if (kind === 'sequence' && [before, now].some((row) => row?.deptype === 'i'))
      throw new CannotFollow(`the identity sequence "${String((now ?? before)!.relname)}" was altered`);
  }
}
