import type { Major } from '../../src/demo/embedded-server.ts';
import {
  addPolicies,
  addPrivileges,
  addNewerThings,
  addRareThings,
  addRoutines,
  addViews,
  addWholeRows,
} from './attachment-generator-parts.ts';
import { quoteIdent, quoteLiteral, quoteName, type QualifiedName } from '../../src/domain/identifier.ts';

/** Numbers that a seed decides. */
export interface Random {
  readonly int: (below: number) => number;
  readonly chance: (probability: number) => boolean;
  readonly pick: <T>(from: readonly T[]) => T;
  /** Some of them, in their order. */
  readonly some: <T>(from: readonly T[], probability?: number) => T[];
}

export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const int = (below: number): number => Math.floor(next() * below);
  const chance = (probability: number): boolean => next() < probability;
  return {
    int,
    chance,
    pick: (from) => from[int(from.length)]!,
    some: (from, probability = 0.5) => from.filter(() => chance(probability)),
  };
}

/** What the parts of a generated table are made with. */
export interface Workshop {
  readonly random: Random;
  readonly major: Major;
  readonly roles: readonly string[];
  /** A name that nothing has yet. */
  readonly fresh: () => string;
  /** In the table's schema, as SQL writes it. */
  readonly here: (name: string) => string;
  readonly role: () => string;
  /** Perhaps. */
  readonly comment: (what: string, probability?: number) => void;
  readonly out: string[];
  /** As SQL writes it. */
  readonly t: string;
  readonly table: QualifiedName;
  /** The columns, as SQL writes them, by what they are for. */
  readonly c: Readonly<Record<'id' | 'key' | 'number' | 'text' | 'doc' | 'ref' | 'other' | 'twice' | 'who', string>>;
  /** Without quotes. */
  readonly textColumn: string;
  readonly primary: readonly string[];
  /** Its neighbours: one that it references, one with a policy, and a trigger function. */
  readonly parent: string;
  readonly plain: string;
  readonly fires: string;
}

/** A table with what hangs on it, as statements; those that PostgreSQL refuses are left out by who runs them. */
export interface Generated {
  readonly schema: string;
  readonly table: QualifiedName;
  readonly key: string;
  /** The column of a child that holds the key of the row it references, by the child: `schema.child`. */
  readonly keyOfChild: ReadonlyMap<string, string>;
  readonly statements: readonly string[];
  /** Inserts one row. */
  readonly insert: string;
}

const WORDS = [
  'select',
  'Table',
  'user',
  'order',
  'the "quoted"',
  "it's",
  'with space',
  'semi;colon',
  'back\\slash',
  'dot.ted',
  'Größe',
  '$1',
  'percent %I',
  '--',
  'CamelCase',
  'plain',
  'group',
];

export function generate(seed: number, major: Major, roles: readonly string[]): Generated {
  const random = seeded(seed);
  const { int, chance, pick, some } = random;
  const taken = new Set<string>();
  /** Each name once: quoted, reserved, capitals, of 63 bytes. */
  const fresh = (): string => {
    for (;;) {
      const word = chance(0.15) ? pick(WORDS) + 'x'.repeat(70) : pick(WORDS);
      const full = chance(0.4) ? `${word} ${String(int(100))}` : `${pick(['a', 'B', '_', ''])}${word}`;
      const name = Buffer.from(full)
        .subarray(0, 63)
        .toString()
        .replace(/\uFFFD+$/, '');
      if (taken.has(name) || name === '') continue;
      taken.add(name);
      return name;
    }
  };
  const schema = fresh();
  const [s, table] = [quoteIdent(schema), { schema, name: fresh() }];
  const t = quoteName(table);
  const here = (name: string): string => `${s}.${quoteIdent(name)}`;
  const column = {
    id: fresh(),
    key: fresh(),
    number: fresh(),
    text: fresh(),
    doc: fresh(),
    ref: fresh(),
    other: fresh(),
    twice: fresh(),
    who: fresh(),
  };
  const c = Object.fromEntries(Object.entries(column).map(([key, name]) => [key, quoteIdent(name)])) as typeof column;
  const out: string[] = [];
  const comment = (what: string, probability = 0.4): void => {
    if (chance(probability)) out.push(`comment on ${what} is ${quoteLiteral(`of ${fresh()}`)}`);
  };
  const role = (): string => quoteIdent(pick(roles));
  const keyType = pick(['timestamptz', 'timestamp', 'date']);

  // Its neighbours and itself.
  out.push(`create schema ${s}`);
  if (chance(0.4))
    out.push(`alter default privileges in schema ${s} grant ${pick(['select', 'all'])} on ${pick(['tables', 'sequences'])} to ${role()}`);
  const [parent, pair, plain] = [fresh(), fresh(), fresh()];
  out.push(
    `create table ${here(parent)} (id int primary key, name text)`,
    `insert into ${here(parent)} select n, 'n' || n from generate_series(1, 20) n`,
  );
  out.push(
    `create table ${here(pair)} (a int, b text, primary key (a, b))`,
    `insert into ${here(pair)} select n, 'b' from generate_series(1, 20) n`,
  );
  out.push(
    `create table ${here(plain)} (id int primary key, about bigint, text text)`,
    `insert into ${here(plain)} select n, n, 't' from generate_series(1, 50) n`,
  );
  const identity = pick([
    'generated always as identity',
    'generated by default as identity (start with 1000 increment by 3 cache 2)',
    'serial',
  ]);
  const primary = pick([[c.id], [c.id, c.key], [c.key, c.id]]);
  out.push(
    `create table ${t} (gone int, ${c.id} ${identity === 'serial' ? 'bigserial' : `bigint ${identity}`}, ${c.key} ${keyType} not null default now(), ${c.number} int not null default ${String(int(9))},
     ${c.text} text ${chance(0.3) ? 'collate "C"' : ''}, gone_too text, ${c.doc} jsonb default '{}', ${c.ref} int, ${c.other} text, ${c.twice} int generated always as (${c.number} * 2) stored,
     ${c.who} name default current_user, constraint ${quoteIdent(fresh())} primary key (${primary.join(', ')}))${chance(0.5) ? ` with (fillfactor = ${String(50 + int(50))}, toast.autovacuum_enabled = false)` : ''}`,
    `alter table ${t} drop column gone, drop column gone_too`,
    `insert into ${t} (${c.key}, ${c.number}, ${c.text}, ${c.ref}, ${c.other}) select now() - n * interval '3 hours', n, 'row ' || n, 1 + n % 20, 'b' from generate_series(1, 600) n`,
  );
  if (chance(0.4))
    out.push(
      `alter table ${t} alter column ${c.number} set statistics ${String(int(500))}, alter column ${c.text} set storage ${pick(['external', 'main', 'plain'])}, alter column ${c.ref} set (n_distinct = 20)`,
    );
  if (chance(0.3)) out.push(`alter table ${t} alter column ${c.doc} set compression pglz`);
  if (chance(0.2)) out.push(`alter table ${t} replica identity full`);
  if (chance(0.3)) out.push(`create sequence ${here(fresh())} owned by ${t}.${c.number}`);
  comment(`table ${t}`);
  for (const name of Object.values(c)) comment(`column ${t}.${name}`, 0.15);
  for (let n = int(3); n > 0; n--) {
    const name = quoteIdent(fresh());
    out.push(
      `alter table ${t} add constraint ${name} check (${pick([`${c.number} >= 0`, `length(${c.text}) < 5000`, `${c.key} > '2001-01-01'`])})${chance(0.3) ? ' not valid' : ''}`,
    );
    comment(`constraint ${name} on ${t}`);
  }

  // Indexes, unique or not, and statistics.
  for (let n = int(5); n > 0; n--) {
    const name = fresh();
    const on = pick([
      `(${c.number} desc nulls last) include (${c.id})`,
      `(lower(${c.text}) text_pattern_ops, ${c.ref})`,
      `using gin (${c.doc} jsonb_path_ops)`,
      `using brin (${c.key})`,
      `using hash (${c.text})`,
      `((${c.doc} ->> 'a'), ${c.key})`,
      `(${c.text} collate "C") where ${c.number} > 3`,
    ]);
    out.push(`create index ${quoteIdent(name)} on ${t} ${on}`);
    comment(`index ${here(name)}`);
    if (on.startsWith('((') || on.startsWith('(lower')) out.push(`alter index ${here(name)} alter column 1 set statistics 77`);
    if (chance(0.15) && !on.includes('gin') && !on.includes('hash') && !on.includes('brin') && !on.includes('where'))
      out.push(`alter table ${t} cluster on ${quoteIdent(name)}`);
  }
  for (const on of some([`${c.id}, ${c.number}`, `${c.number}, ${c.key}`, `${c.number}, ${c.text}`], 0.25)) {
    const name = quoteIdent(fresh());
    out.push(`alter table ${t} add constraint ${name} unique (${on})${chance(0.3) ? ' deferrable initially deferred' : ''}`);
    comment(`constraint ${name} on ${t}`);
  }
  for (const on of some(
    [`(${c.text}, ${c.id})`, `(lower(${c.text}), ${c.id}) where ${c.ref} is not null`, `(${c.id}, ${c.key}) include (${c.number})`],
    0.25,
  ))
    out.push(`create unique index ${quoteIdent(fresh())} on ${t} ${on}`);
  for (const on of some(
    [`(ndistinct, mcv) on ${c.number}, ${c.ref}`, `on (${c.number} % 3), (lower(${c.text}))`, `on ${c.text}, ${c.ref}, ${c.other}`],
    0.3,
  )) {
    const name = fresh();
    out.push(`create statistics ${here(name)} ${on} from ${t}`);
    comment(`statistics ${here(name)}`);
    if (chance(0.3)) out.push(`alter statistics ${here(name)} set statistics ${String(int(300))}`);
  }

  // Foreign keys.
  const action = (): string =>
    `${pick(['', ' on delete cascade', ' on delete set null', ' on delete restrict', ' on delete set default'])}${pick(['', ' on update cascade', ' on update set null'])}`;
  const deferrable = (): string => pick(['', '', ' deferrable', ' deferrable initially deferred']);
  for (let n = int(3); n > 0; n--) {
    const name = quoteIdent(fresh());
    out.push(
      `alter table ${t} add constraint ${name} foreign key ${pick([`(${c.ref}) references ${here(parent)}`, `(${c.ref}, ${c.other}) references ${here(pair)}${chance(0.5) ? ' match full' : ''}`])}${action()}${deferrable()}${chance(0.2) ? ' not valid' : ''}`,
    );
    comment(`constraint ${name} on ${t}`);
  }
  const keyOfChild = new Map<string, string>();
  for (let n = int(3); n > 0; n--) {
    const [child, name] = [fresh(), quoteIdent(fresh())];
    out.push(
      `create table ${here(child)} (about bigint, "At" ${keyType}, body text)`,
      `insert into ${here(child)} select ${c.id}, ${c.key}, 'about' from ${t} where ${c.number} % 7 = 0`,
    );
    out.push(
      `alter table ${here(child)} add constraint ${name} foreign key ${primary.length === 1 ? `(about) references ${t}` : `(about, "At") references ${t} (${c.id}, ${c.key})`}${action()}${deferrable()}`,
    );
    comment(`constraint ${name} on ${here(child)}`);
    keyOfChild.set(`${schema}.${child}`, 'At');
  }
  if (chance(0.1) && primary.length === 1) out.push(`alter table ${t} add column ${quoteIdent(fresh())} bigint references ${t}`);

  // Triggers.
  const fires = fresh();
  out.push(
    `create function ${here(fires)}() returns trigger language plpgsql as $$begin if tg_op = 'DELETE' then return old; end if; return new; end$$`,
  );
  for (let n = int(6); n > 0; n--) {
    const name = fresh();
    const events = some(['insert', 'delete', chance(0.5) ? 'update' : `update of ${c.number}, ${c.text}`], 0.6);
    const on = events.length === 0 ? 'insert' : events.join(' or ');
    const call = `execute function ${here(fires)}(${some([`'a'`, quoteLiteral(fresh()), `'1'`]).join(', ')})`;
    const when =
      on === 'insert' || on === 'update'
        ? pick(['', ` when (new.${c.number} > 5)`, ` when (new.${c.text} is distinct from ${quoteLiteral(fresh())})`])
        : on === 'delete'
          ? ` when (old.${c.number} <> 4)`
          : '';
    out.push(
      pick([
        `create trigger ${quoteIdent(name)} ${pick(['before', 'after'])} ${on} on ${t} for each row${when} ${call}`,
        `create trigger ${quoteIdent(name)} ${pick(['before', 'after'])} ${pick([on, 'truncate'])} on ${t} for each statement ${call}`,
        `create constraint trigger ${quoteIdent(name)} after ${on} on ${t}${deferrable()} for each row${when} ${call}`,
        `create trigger ${quoteIdent(name)} after insert on ${t} referencing new table as ${quoteIdent(fresh())} for each ${chance(0.8) ? 'statement' : 'row'} ${call}`,
      ]),
    );
    if (chance(0.4)) out.push(`alter table ${t} ${pick(['disable', 'enable replica', 'enable always'])} trigger ${quoteIdent(name)}`);
    comment(`trigger ${quoteIdent(name)} on ${t}`);
  }
  const workshop: Workshop = {
    random,
    major,
    roles,
    fresh,
    here,
    role,
    comment,
    out,
    t,
    table,
    c,
    textColumn: column.text,
    primary,
    parent,
    plain,
    fires,
  };
  addViews(workshop);
  addRoutines(workshop);
  addPolicies(workshop);
  addPrivileges(workshop);
  addRareThings(workshop);
  addWholeRows(workshop);
  addNewerThings(workshop);

  // Publications.
  for (let n = int(3); n > 0; n--) {
    const name = quoteIdent(fresh());
    out.push(
      `create publication ${name} for table ${t}${major >= 15 && chance(0.4) ? ` (${[...primary, c.number].join(', ')})` : ''}${major >= 15 && chance(0.4) ? ` where (${c.id} > 5)` : ''}, ${here(parent)}${chance(0.5) ? ' with (publish_via_partition_root = true)' : ''}`,
    );
    comment(`publication ${name}`);
  }
  if (chance(0.15))
    out.push(
      major >= 15 && chance(0.5)
        ? `create publication ${quoteIdent(fresh())} for tables in schema ${s}`
        : `create publication ${quoteIdent(fresh())} for all tables`,
    );
  out.push(`analyze ${t}`);
  return {
    schema,
    table,
    key: column.key,
    keyOfChild,
    statements: out,
    insert: `insert into ${t} (${c.key}, ${c.number}, ${c.ref}, ${c.other}) values (now() - interval '1 hour', 1000 + (random() * 1000000000)::int, null, null)`,
  };
}
