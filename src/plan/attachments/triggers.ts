import type { Trigger } from '../../domain/attachments.ts';
import { quoteIdent, quoteLiteral, quoteName } from '../../domain/identifier.ts';
import type { DdlStep } from '../migration-plan.ts';
import { label, NOTHING, only, type AttachmentContext, type Carried } from './carried.ts';

const STATE: Readonly<Record<Trigger['enabled'], { readonly verb: string; readonly said: string } | null>> = {
  O: null,
  D: { verb: 'disable trigger', said: ', disabled as before' },
  R: { verb: 'enable replica trigger', said: ', for replicas as before' },
  A: { verb: 'enable always trigger', said: ', always as before' },
};

/**
 * A trigger comes with the switch and not before, or it would fire a second time for what the stream applies. PostgreSQL makes it on
 * every leaf; triggers fire in the order of their names, as before.
 */
export function planTrigger(trigger: Trigger, { source, partitionKey }: AttachmentContext): Carried {
  const { name, table, isOwn, definition, enabled, comment, constraintComment, mayExecute, routine, extension } = trigger;
  const on = label(table);
  const base = { kind: 'trigger', name: isOwn ? name : `${on}.${name}`, check: 'triggers' } as const;
  const drop = `DROP TRIGGER ${quoteIdent(name)} ON ${quoteName(table)};`;
  if (!isOwn) return only({ ...base, fate: 'blocks', how: `constraint trigger ${name} of ${on} names ${label(source)}`, fix: drop });
  if (extension !== null) return only({ ...base, fate: 'blocks', how: `it depends on extension ${extension}`, fix: drop });
  if (!mayExecute)
    return only({
      ...base,
      fate: 'blocks',
      how: `our role may not execute ${routine}`,
      fix: `GRANT EXECUTE ON FUNCTION ${routine} TO CURRENT_USER;`,
    });
  if (trigger.isRow && trigger.hasTransitionTables) {
    return only({
      ...base,
      fate: 'blocks',
      how: 'a row trigger with transition tables (REFERENCING) cannot be on a partitioned table: PostgreSQL refuses it',
      fix: `${drop} or make it a statement trigger`,
    });
  }
  const state = STATE[enabled];
  const step = (sql: string, why: string): DdlStep => ({ sql, lock: `SHARE ROW EXCLUSIVE on ${label(source)} and its leaves`, why });
  const warning = warningOf(trigger, partitionKey);
  return {
    ...NOTHING,
    fates: [
      {
        ...base,
        fate: 'moved in the swap',
        how: `fires on the partitioned table from the switch on${state?.said ?? ''}; on the retired one it is disabled`,
        ...(warning === null ? {} : { warning }),
      },
    ],
    restore: [
      step(definition, 'the name in it is the partitioned table’s by now'),
      ...(state === null ? [] : [step(`alter table ${quoteName(source)} ${state.verb} ${quoteIdent(name)}`, 'its state')]),
      ...(comment === null
        ? []
        : [step(`comment on trigger ${quoteIdent(name)} on ${quoteName(source)} is ${quoteLiteral(comment)}`, 'comment')]),
      ...(constraintComment === null
        ? []
        : [step(`comment on constraint ${quoteIdent(name)} on ${quoteName(source)} is ${quoteLiteral(constraintComment)}`, 'comment')]),
    ],
  };
}

function warningOf({ name, isRow, isBefore, isOnUpdate, source }: Trigger, partitionKey: string): string | null {
  if (!isRow) return null;
  const assigns = new RegExp(`\\bnew\\s*\\.\\s*"?${partitionKey.replaceAll(/[^A-Za-z0-9_]/g, '\\$&')}"?\\s*(:=|=)`, 'i');
  if (isBefore && assigns.test(source)) {
    return `trigger ${name} seems to set ${partitionKey} in a BEFORE trigger: when that moves the row to another leaf, PostgreSQL refuses the statement`;
  }
  const warnings = [
    ...(/\btg_(relid|relname|table_name)\b/i.test(source)
      ? [`${name} asks for its table (TG_TABLE_NAME, TG_RELID): in a row trigger that is the leaf from the switch on`]
      : []),
    ...(isOnUpdate
      ? [`an UPDATE that moves a row to another leaf fires its DELETE and INSERT triggers, and not the AFTER UPDATE ones (${name})`]
      : []),
  ];
  return warnings.length === 0 ? null : warnings.join('; ');
}

/** The retired table is written by nothing but the way back, which must not fire what has fired already. */
export function retireTriggers(triggers: readonly Trigger[], { source }: AttachmentContext): Carried {
  if (!triggers.some(({ isOwn }) => isOwn)) return NOTHING;
  return {
    ...NOTHING,
    retire: [
      {
        sql: `alter table ${quoteName(source)} disable trigger user`,
        lock: `ACCESS EXCLUSIVE on ${label(source)}`,
        why: 'what is written to the retired table has fired them already',
      },
    ],
  };
}
