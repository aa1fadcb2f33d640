import type { LeafRange } from '../domain/leaf-map.ts';
import { quoteIdent, quoteLiteral, quoteName } from '../domain/identifier.ts';
import type { SourceTable } from '../domain/table.ts';
import { keyTable } from './apply-sql.ts';
import type { MigrationPlan } from './migration-plan.ts';
import { DIFFERENT_UNIT, intervalPredicate, JOB, sourceRows, type KeyInterval } from './resync-sql.ts';

/** Keys that one comparison takes: a temporary table of the session that compares. */
export const CHECK = 'pg_temp.partitioner_check';

/** Where a range of keys ends: partition key values as their kind's number, or the primary key's columns as text. */
export type KeyRange =
  | { readonly by: 'partition key'; readonly lower: bigint | null; readonly upper: bigint | null; readonly leaf: LeafRange }
  /** `after` exclusive, `upto` inclusive; null is open. */
  | { readonly by: 'primary key'; readonly after: readonly string[] | null; readonly upto: readonly string[] | null };

/** A statement and its parameters. */
export interface Statement {
  readonly text: string;
  readonly values: unknown[];
}

/** The statements of the verification, as text; `id` is the migration's. */
export interface VerifySql {
  /** The log of changed keys and the table of suspects, made by prepare. */
  readonly createTables: readonly string[];
  /** Binary: anywhere, at, k0… */
  readonly copyChanged: string;
  /** For the statement that deletes: what it returns besides, and logs, of the rows that it hit. */
  readonly logDeleted: { readonly returning: string; readonly insert: string };
  /** Logs the keys of the resync job. */
  readonly logJob: string;
  /** The session's table of keys to compare. */
  readonly createCheck: string;
  /** The number of the last logged key within the next `$2` after `$1`, and how many are behind it in all, about. */
  readonly nextLogged: string;
  /** Params: after, up to. Puts the logged keys into the session's table, and those that a range has seen differ. */
  readonly takeLogged: string;
  /** Params: after. The same with every key that is logged, and every suspect. */
  readonly takeAll: string;
  readonly countTaken: string;
  /** Params: number, LSN, truncated. The keys taken that differ become suspects. */
  readonly suspectTaken: (live: readonly KeyInterval[] | null) => string;
  /** The keys taken that differ, as text. */
  readonly differing: string;
  /** Params: number. Those that agree are no suspects any more. */
  readonly acquitTaken: string;
  /** Params: up to. */
  readonly forgetLogged: string;
  /** Params: migration. Suspects from before a TRUNCATE that is applied: none of their rows is left. */
  readonly releaseTruncated: string;
  /** Params: migration. Suspects that changed after they were seen, which are compared again. */
  readonly releaseSuspects: string;
  /** Params: migration. What is left is a difference: the stream has brought everything that the snapshot saw. */
  readonly convict: string;
  readonly countDifferent: string;
  /** How source and target differ in up to `$1` keys. */
  readonly describe: string;
  readonly repairDifferent: string;
  readonly forgetSuspects: string;
  readonly forgetLog: string;
  readonly countRest: string;
  /** Where a range of about `$rows` rows ends. No row, or a NULL: it is the last one. */
  readonly boundary: (range: KeyRange, rows: number) => Statement;
  /** Rows and the sum of their hashes, of both sides. */
  readonly sums: (range: KeyRange) => Statement;
  /** Keys whose rows differ in a range, at most `limit`: they are compared once more with the log. */
  readonly seeRange: (range: KeyRange, limit: number, part: number) => Statement;
  /** Keys whose rows differ in a range become touched keys of the unit that a recovery has made of all live leaves. */
  readonly touchRange: (range: KeyRange) => Statement;
  /** Rows of a leaf outside of its bound. */
  readonly seeStrays: (leaf: LeafRange, part: number) => string;
  /** Keys of source rows in an interval that no leaf has, at most `limit`: they are compared once more with the log. */
  readonly seeLeafless: (gap: KeyInterval, limit: number, part: number) => string;
}

/** @param names of the columns that are compared, generated ones too. */
export function planVerifySql(plan: MigrationPlan, id: number, names: readonly string[]): VerifySql {
  const { columns, key, partitionKey } = plan;
  const changed = quoteName(keyTable('changed', id));
  const suspect = quoteName(keyTable('suspect', id));
  const source = sourceRows(plan);
  const target = quoteName(plan.target);
  const keyNames = key.map((i) => quoteIdent(columns[i]!.name));
  const ks = key.map((_, k) => `k${k}`);
  const list = ks.join(', ');
  const at = quoteIdent(partitionKey.name);
  /** The text of every value tells 1.0 from 1.00 and NULL from '', which operators of types do not. */
  const row = (alias: string): string => `row(${names.map((name) => `${alias}.${quoteIdent(name)}`).join(', ')})::text`;
  const hash = (alias: string): string => `hashtextextended(${row(alias)} collate "C", 0)`;
  const keysOf = (alias: string): string => keyNames.map((name, k) => `${alias}.${name} as k${k}`).join(', ');
  const kept = key.map((i, k) => (columns[i]!.wire === 'text' ? `${keyNames[k]}::text as k${k}` : `${keyNames[k]} as k${k}`)).join(', ');
  const isAtText = columns[partitionKey.column]!.wire === 'text';
  const atType = isAtText ? `${at}::text` : at;
  const read = (alias: string): string =>
    key.map((i, k) => (columns[i]!.wire === 'text' ? `${alias}.k${k}::${columns[i]!.type} as k${k}` : `${alias}.k${k}`)).join(', ');
  const written = (alias: string): string =>
    key.map((i, k) => (columns[i]!.wire === 'text' ? `${alias}.k${k}::text` : `${alias}.k${k}`)).join(', ');
  const on = (table: string, keys: string): string => keyNames.map((name, k) => `${table}.${name} = ${keys}.k${k}`).join(' and ');
  const same = (a: string, b: string): string => ks.map((k) => `${a}.${k} = ${b}.${k}`).join(' and ');
  const within = (alias: string, intervals: readonly KeyInterval[]): string => intervalPredicate(`${alias}.${at}`, plan, intervals);
  // A partition that was attached after the snapshot is there all the same, with what was copied into it before: both sides are cut.
  const cut = (alias: string, live: readonly KeyInterval[] | null): string => (live === null ? '' : ` and (${within(alias, live)})`);
  // By itself, behind OFFSET 0, so that the leaf is found by its bound: joined as it is, the planner would rather look into each of them.
  const lookup = (alias: string, keys: string, value: string): string =>
    `(select ${alias}.* from ${target} ${alias} where ${on(alias, keys)} and ${alias}.${at} = ${value} offset 0) ${alias}`;
  const sides = (live: readonly KeyInterval[] | null): string =>
    `${CHECK} c left join ${source} s on ${on('s', 'c')}${cut('s', live)} left join lateral ${lookup('t', 'c', `s.${at}`)} on true`;
  const differs = (live: readonly KeyInterval[] | null): string =>
    `(s.${at} is not null and (t.${at} is null or ${row('s')} is distinct from ${row('t')})) or ` +
    // Where the stream has written the key, or taken its row from, and the source does not have it.
    `exists (select from unnest(c.ats) a (at) cross join lateral ${lookup('x', 'c', 'a.at')} where a.at is distinct from s.${at}${cut('x', live)}) or ` +
    // Where nobody knows which leaf the row has left, every leaf is asked.
    `(c.anywhere and exists (select from ${target} x where ${on('x', 'c')} and (s.${at} is null or x.${at} <> s.${at})${cut('x', live)}))`;
  const take = (logged: string, suspects: string): string =>
    `insert into ${CHECK} select ${list}, bool_or(anywhere), array_agg(distinct at) filter (where at is not null) from (` +
    `select ${read('l')}, l.anywhere, l.at${isAtText ? `::${columns[partitionKey.column]!.type}` : ''} as at from ${changed} l where ${logged} ` +
    `union all select ${list}, true, null from ${suspect} where ${suspects}) l group by ${list}`;
  // A row outside of its leaf's bound is wrong whatever the stream still brings, and may be found by its key all the same.
  const misplaced = `on conflict (${list}) do update set state = 'different' where excluded.state = 'different'`;
  const seen = `insert into ${suspect} (${list}, part, state)`;
  const predicates = (range: KeyRange): { source: string; target: string; from: string; values: unknown[] } => {
    if (range.by === 'partition key') {
      const { lower, upper, leaf } = range;
      const open = { lower: lower === leaf.lower ? null : lower, upper: upper === leaf.upper ? null : upper };
      return {
        source: within('s', [{ lower, upper }]),
        // Open at the leaf's ends: a row that does not belong into it is seen.
        target: within('t', [open]),
        from: `only ${quoteName({ schema: plan.target.schema, name: leaf.name })}`,
        values: [],
      };
    }
    const values: unknown[] = [];
    const tuple = (texts: readonly string[]): string =>
      `(${texts.map((text, k) => `$${values.push(text)}::text::${columns[key[k]!]!.type}`).join(', ')})`;
    const after = range.after && tuple(range.after);
    const upto = range.upto && tuple(range.upto);
    const part = (alias: string): string => {
      const own = `(${keyNames.map((name) => `${alias}.${name}`).join(', ')})`;
      return [...(after ? [`${own} > ${after}`] : []), ...(upto ? [`${own} <= ${upto}`] : []), 'true'].join(' and ');
    };
    return { source: part('s'), target: part('t'), from: target, values };
  };
  /** Keys whose rows differ in a range; of a row that stands in a leaf where it does not belong, with that. */
  const differing = (range: KeyRange): { rows: string; values: unknown[] } => {
    const { source: inSource, target: inTarget, from, values } = predicates(range);
    const side = (alias: string, table: string, where: string): string =>
      `(select ${keysOf(alias)}, ${hash(alias)} as hash, ${range.by === 'partition key' ? within(alias, [range.leaf]) : 'true'} as belongs from ${table} ${alias} where ${where})`;
    const rows =
      `(select ${ks.map((k) => `coalesce(a.${k}, b.${k}) as ${k}`).join(', ')}, coalesce(b.belongs, true) as belongs ` +
      `from ${side('s', source, inSource)} a full join ${side('t', from, inTarget)} b on ${same('a', 'b')} where a.hash is distinct from b.hash)`;
    return { rows, values };
  };
  return {
    createTables: [
      `create table ${changed} as select null::boolean as anywhere, ${atType} as at, ${kept} from only ${quoteName(plan.source)} with no data`,
      // Only the applier writes it, so numbers are in the order of its commits.
      `alter table ${changed} add column n bigint generated always as identity (cache 100) primary key`,
      `create table ${suspect} as select ${keysOf('s')}, 0::bigint as n, null::pg_lsn as lsn, 0::bigint as truncated, 0::int as part, ''::text as state, ` +
        `clock_timestamp() as found_at from only ${quoteName(plan.source)} s with no data`,
      `alter table ${suspect} add primary key (${list}), alter column found_at set default clock_timestamp()`,
    ],
    copyChanged: `copy ${changed} (anywhere, at, ${list}) from stdin (format binary)`,
    logDeleted: {
      returning: `t.${at} as at, ${key.map((_, k) => `s.o${k}`).join(', ')}`,
      insert: `insert into ${changed} (anywhere, at, ${list}) select false, at${isAtText ? '::text' : ''}, ${key.map((_, k) => `o${k}`).join(', ')} from hit`,
    },
    logJob: `insert into ${changed} (anywhere, ${list}) select true, ${written('j')} from ${JOB} j`,
    createCheck: `create temporary table partitioner_check on commit delete rows as select ${keysOf('s')}, null::boolean as anywhere, array[s.${at}] as ats from only ${quoteName(plan.source)} s with no data`,
    nextLogged:
      `select (select max(n) from (select n from ${changed} where n > $1::bigint order by n limit $2) l)::text as last, ` +
      `(select coalesce(max(n), 0) - coalesce(min(n), 0) from ${changed} where n > $1::bigint)::float8 as behind`,
    takeLogged: take(`l.n > $1::bigint and l.n <= $2::bigint`, `state = 'seen'`),
    takeAll: take('l.n > $1::bigint', 'true'),
    countTaken: `select count(*)::int as keys, count(*) filter (where anywhere)::int as anywhere from ${CHECK}`,
    suspectTaken: (live) =>
      `insert into ${suspect} (${list}, n, lsn, truncated, part, state) select distinct ${ks.map((k) => `c.${k}`).join(', ')}, $1::bigint, $2::pg_lsn, $3::bigint, -1, 'suspected' ` +
      `from ${sides(live)} where ${differs(live)} ` +
      `on conflict (${list}) do update set n = excluded.n, lsn = excluded.lsn, truncated = excluded.truncated, state = 'suspected'`,
    differing: `select ${ks.map((k) => `c.${k}::text as ${k}`).join(', ')} from ${sides(null)} where ${differs(null)} limit 10`,
    acquitTaken: `delete from ${suspect} u using ${CHECK} c where ${same('u', 'c')} and (u.state = 'seen' or u.n < $1::bigint)`,
    forgetLogged: `delete from ${changed} where n <= $1::bigint`,
    releaseTruncated: `delete from ${suspect} u using partitioner.position p where p.migration = $1 and u.state = 'suspected' and u.lsn <= p.lsn and u.truncated <> p.truncated`,
    // By itself, so that it is a join: below an OR it would be run for each suspect.
    releaseSuspects:
      `delete from ${suspect} u using partitioner.position p where p.migration = $1 and u.state = 'suspected' and u.lsn <= p.lsn ` +
      `and exists (select from ${changed} l where l.n > u.n and ${key.map((i, k) => `l.k${k}${columns[i]!.wire === 'text' ? `::${columns[i]!.type}` : ''} = u.k${k}`).join(' and ')})`,
    convict:
      `update ${suspect} u set state = 'different' from partitioner.position p where p.migration = $1 and u.state = 'suspected' and u.lsn <= p.lsn ` +
      `and not exists (select from ${quoteName(keyTable('repair', id))})`,
    countDifferent: `select count(*) filter (where state = 'different')::int as different, count(*) filter (where state <> 'different')::int as suspected from ${suspect}`,
    describe:
      `select array[${ks.map((k) => `u.${k}::text`).join(', ')}] as key, ` +
      `case when s.${at} is null then 'extra' when t.${at} is null then 'missing' else 'changed' end as kind, ` +
      `case when s.${at} is not null then ${hash('s')}::text end as source, case when t.${at} is not null then ${hash('t')}::text end as target, ` +
      `case when s.${at} is not null and t.${at} is not null then array_remove(array[${names
        .map((name) => `case when s.${quoteIdent(name)}::text is distinct from t.${quoteIdent(name)}::text then ${quoteLiteral(name)} end`)
        .join(', ')}], null) end as columns ` +
      `from (select ${list} from ${suspect} where state = 'different' order by found_at limit $1) u left join ${source} s on ${on('s', 'u')} ` +
      `left join lateral (select * from ${target} x where ${on('x', 'u')} order by x.${at} <> s.${at} limit 1) t on true`,
    repairDifferent: `insert into ${quoteName(keyTable('repair', id))} (${list}) select ${list} from ${suspect} where state = 'different' on conflict do nothing`,
    forgetSuspects: `delete from ${suspect}`,
    forgetLog: `delete from ${changed}`,
    countRest:
      `select (select count(*) from ${quoteName(keyTable('touched', id))})::int as touched, (select count(*) from ${quoteName(keyTable('fence', id))})::int as fenced, ` +
      `(select count(*) from ${quoteName(keyTable('repair', id))})::int as repair`,
    boundary: (range, rows) => {
      const { source: where, values } = predicates(range);
      if (range.by === 'partition key') {
        // Many rows of one value stay together.
        return {
          text:
            `select coalesce((select f.b where exists (select from ${source} s where ${where} and s.${at} < f.b)), ` +
            `(select min(s.${at}) from ${source} s where ${where} and s.${at} > f.b))::text as b0 ` +
            `from (select s.${at} as b from ${source} s where ${where} order by s.${at} offset ${rows} limit 1) f`,
          values,
        };
      }
      const names = keyNames.map((name) => `s.${name}`);
      return {
        text: `select ${names.map((name, k) => `${name}::text as b${k}`).join(', ')} from ${source} s where ${where} order by ${names.join(', ')} offset ${rows - 1} limit 1`,
        values,
      };
    },
    sums: (range) => {
      const { source: inSource, target: inTarget, from, values } = predicates(range);
      const side = (alias: string, table: string, where: string): string =>
        `(select count(*)::text || ' ' || coalesce(sum(${hash(alias)}), 0)::text from ${table} ${alias} where ${where})`;
      return { text: `select ${side('s', source, inSource)} as source, ${side('t', from, inTarget)} as target`, values };
    },
    seeRange: (range, limit, part) => {
      const { rows, values } = differing(range);
      return {
        text:
          `${seen} select distinct on (${list}) ${list}, ${part}, case when belongs then 'seen' else 'different' end ` +
          `from ${rows} d order by ${list}, belongs limit ${limit} ${misplaced}`,
        values,
      };
    },
    touchRange: (range) => {
      const { rows, values } = differing(range);
      const touched = quoteName(keyTable('touched', id));
      return {
        text: `insert into ${touched} (unit, ${list}) select distinct ${DIFFERENT_UNIT}, ${list} from ${rows} d on conflict do nothing`,
        values,
      };
    },
    seeStrays: (leaf, part) =>
      `${seen} select distinct ${keyNames.map((name) => `t.${name}`).join(', ')}, ${part}, 'different' ` +
      `from only ${quoteName({ schema: plan.target.schema, name: leaf.name })} t where (${within('t', [leaf])}) is not true ${misplaced}`,
    seeLeafless: (gap, limit, part) =>
      `${seen} select ${keyNames.map((name) => `s.${name}`).join(', ')}, ${part}, 'seen' from ${source} s where ${within('s', [gap])} limit ${limit} on conflict do nothing`,
  };
}

/** Every column whose value is stored: what is computed on reading is the same where the stored ones are. */
export function comparedColumns(table: SourceTable): string[] {
  return table.columns.filter(({ generated }) => generated !== 'v').map(({ name }) => name);
}
