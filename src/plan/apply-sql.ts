import { quoteIdent, quoteName, type QualifiedName } from '../domain/identifier.ts';
import type { MigrationPlan } from './migration-plan.ts';
import type { VerifySql } from './verify-sql.ts';

/** The stage's kinds of rows. */
export const STAGED = { update: 1, insert: 3 } as const;

/**
 * The statements that merge a staged batch into the live leaves, as text: they depend on the table's columns only,
 * so each is prepared once a session. The stage is a temporary table: kind, mask (unsent columns), seq, o0… (the key
 * before the batch), c0… (the row after it). Keys to be deleted have a narrow one of their own.
 */
export interface ApplySql {
  readonly createStage: readonly string[];
  readonly copyStage: string;
  readonly copyGone: string;
  readonly copyKeys: string;
  readonly copyTarget: string;
  /** Params: kind, mask, rows expected. Returns hits, and the seqs hit when they are fewer. */
  updateExact(mask: string): string;
  /** Params: seqs. The row may be in any live leaf: its partition key or its key moved. */
  updateAnywhere(mask: string): string;
  /** Logs what it deletes for the verification. */
  readonly deleteByKey: string;
  /** Params: seqs. */
  readonly insertStaged: string;
  /** Takes the staged updates' rows out, kept in the out table. Returns the seqs hit. */
  readonly takeOut: string;
  /** Params: mask, seqs. Puts rows that were taken out back as the batch leaves them. */
  putBack(mask: string): string;
  /** Params: xid8. Keeps the rows of fenced keys whose fence sees the transaction, through a TRUNCATE. */
  keepFenced(fence: string): string;
  readonly restoreKept: string;
}

export const STAGE = 'pg_temp.partitioner_stage';
export const GONE = 'pg_temp.partitioner_gone';
export const KEYS = 'pg_temp.partitioner_keys';
export const OUT = 'pg_temp.partitioner_out';

/** @param baseTypes of each planned column, a domain's base type (a stage column may hold NULL where the domain may not). */
export function planApplySql(plan: MigrationPlan, baseTypes: readonly string[], log: VerifySql['logDeleted']): ApplySql {
  const { columns, key, partitionKey } = plan;
  const target = quoteName(plan.target);
  const names = columns.map((column) => quoteIdent(column.name));
  const list = names.join(', ');
  const staged = (i: number, prefix: string): string => (columns[i]!.wire === 'text' ? `s.${prefix}::${columns[i]!.type}` : `s.${prefix}`);
  const value = (i: number): string => staged(i, `c${i}`);
  const values = columns.map((_, i) => value(i)).join(', ');
  const stageType = (i: number, as: string): string => `t.${names[i]!}::${columns[i]!.wire === 'text' ? 'text' : baseTypes[i]!} as ${as}`;
  const oldKey = key.map((i, k) => `t.${names[i]!} = ${staged(i, `o${k}`)}`).join(' and ');
  const identityPrunes = key.includes(partitionKey.column);
  const exact = identityPrunes ? oldKey : `${oldKey} and t.${quoteIdent(partitionKey.name)} = ${value(partitionKey.column)}`;
  const hits = `select count(*)::int as hits, case when count(*) < $1::int then array_agg(seq) end as seqs from hit`;
  const sets = (mask: string): string => {
    const unchanged = new Set(mask === '' ? [] : mask.split(',').map(Number));
    return names.flatMap((name, i) => (unchanged.has(i) ? [] : [`${name} = ${value(i)}`])).join(', ');
  };
  const isMask = (mask: string): string => `s.kind = ${STAGED.update} and s.mask = '${mask}'`;
  const from = `from only ${quoteName(plan.source)} t with no data`;
  return {
    createStage: [
      `create temporary table partitioner_stage on commit delete rows as select 0::int as kind, ''::text as mask, 0::int as seq, ` +
        `${[...key.map((i, k) => stageType(i, `o${k}`)), ...columns.map((_, i) => stageType(i, `c${i}`))].join(', ')} ${from}`,
      `create temporary table partitioner_gone on commit delete rows as select 0::int as seq, ${key.map((i, k) => stageType(i, `o${k}`)).join(', ')} ${from}`,
      `create temporary table partitioner_keys on commit delete rows as select ${key.map((i, k) => stageType(i, `o${k}`)).join(', ')} ${from}`,
      `create temporary table partitioner_out on commit delete rows as select 0::int as seq, ${names.map((name, i) => `t.${name}::${baseTypes[i]!} as c${i}`).join(', ')} ${from}`,
    ],
    copyStage: `copy ${STAGE} from stdin (format binary)`,
    copyGone: `copy ${GONE} from stdin (format binary)`,
    copyKeys: `copy ${KEYS} from stdin (format binary)`,
    copyTarget: `copy ${target} (${list}) from stdin (format binary)`,
    updateExact: (mask) =>
      `with hit as (update ${target} t set ${sets(mask)} from ${STAGE} s where ${isMask(mask)} and ${exact} returning s.seq) ${hits}`,
    updateAnywhere: (mask) =>
      `with hit as (update ${target} t set ${sets(mask)} from ${STAGE} s where ${isMask(mask)} and s.seq = any($2::int[]) and ${oldKey} returning s.seq) ${hits}`,
    deleteByKey: `with hit as (delete from ${target} t using ${GONE} s where ${oldKey} returning s.seq, ${log.returning}), logged as (${log.insert}) ${hits}`,
    insertStaged: `insert into ${target} (${list}) overriding system value select ${values} from ${STAGE} s where s.seq = any($1::int[])`,
    takeOut:
      `with hit as (delete from ${target} t using ${STAGE} s where s.kind = ${STAGED.update} and ${oldKey} ` +
      `returning s.seq, ${names.map((name) => `t.${name}`).join(', ')}), kept as (insert into ${OUT} select * from hit) select array_agg(seq) as seqs from hit`,
    putBack: (mask) => {
      const unchanged = new Set(mask === '' ? [] : mask.split(',').map(Number));
      const row = columns.map((_, i) => (unchanged.has(i) ? `o.c${i}` : value(i))).join(', ');
      return `insert into ${target} (${list}) overriding system value select ${row} from ${STAGE} s join ${OUT} o using (seq) where ${isMask(mask)}`;
    },
    keepFenced: (fence) =>
      `insert into ${OUT} select 0, ${names.map((name) => `t.${name}`).join(', ')} from ${target} t join ${fence} f on ` +
      `${key.map((i, k) => `t.${names[i]!} = f.k${k}`).join(' and ')} where pg_visible_in_snapshot($1::xid8, f.snapshot)`,
    restoreKept: `insert into ${target} (${list}) overriding system value select ${names.map((_, i) => `o.c${i}`).join(', ')} from ${OUT} o`,
  };
}

/** Tables of keys that each migration has for itself, in the control schema. */
export const KEY_TABLES = ['touched', 'fence', 'repair', 'changed', 'suspect'] as const;

export function keyTable(kind: (typeof KEY_TABLES)[number], id: number): QualifiedName {
  return { schema: 'partitioner', name: `${kind}_${id}` };
}
