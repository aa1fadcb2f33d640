import { quoteIdent, quoteLiteral } from '../../src/domain/identifier.ts';
import type { Workshop } from './attachment-generator.ts';

/** Views in chains, some of them materialized, with rules, defaults, privileges. */
export function addViews(workshop: Workshop): void {
  const { random, major, fresh, here, role, comment, out, t, c, primary, parent, fires, textColumn } = workshop;
  const { int, chance, pick, some } = random;
  const late: string[] = [];
  const columns = ['id', 'Key', 'number', 'body'];
  const chain: string[] = [];
  for (let n = int(6); n > 0; n--) {
    const name = fresh();
    const from = chain.length > 0 && chance(0.6) ? pick(chain) : null;
    const list = `(${columns.map(quoteIdent).join(', ')})`;
    const query =
      from === null
        ? pick([
            `select ${c.id}, ${c.key}, ${c.number}, ${c.text} from ${t}`,
            `select e.${c.id}, e.${c.key}, e.${c.number}, p.name from ${t} e left join ${here(parent)} p on p.id = e.${c.ref}`,
            `select max(${c.id}), max(${c.key}), ${c.number} % 10, min(${c.text}) from ${t} group by ${c.number} % 10`,
            `select e.${c.id}, e.${c.key}, (e).${c.number}, to_jsonb(e) ->> ${quoteLiteral(textColumn)} from ${t} e where exists (select from ${t} x where x.${c.id} = e.${c.id})`,
          ])
        : `select id, "Key", number, body from ${from} where number < ${String(100 + int(500))}`;
    if (chance(0.3)) {
      out.push(
        `create materialized view ${here(name)} ${list}${chance(0.4) ? ' with (fillfactor = 90)' : ''} as ${query}${chance(0.2) ? ' with no data' : ''}`,
      );
      if (chance(0.5))
        out.push(
          `create ${chance(0.4) ? 'unique ' : ''}index ${quoteIdent(fresh())} on ${here(name)} (${pick(['id, number', 'id, number, body desc'])})`,
        );
      if (chance(0.3)) out.push(`alter materialized view ${here(name)} alter column number set statistics ${String(int(300))}`);
      comment(`materialized view ${here(name)}`);
    } else {
      const options = some(['security_barrier = true', ...(major >= 15 ? ['security_invoker = true'] : [])], 0.3);
      out.push(`create view ${here(name)} ${list}${options.length > 0 ? ` with (${options.join(', ')})` : ''} as ${query}`);
      if (chance(0.3)) out.push(`alter view ${here(name)} alter column number set default 5`);
      if (chance(0.2)) out.push(`alter view ${here(name)} set (check_option = local)`);
      if (chance(0.3)) late.push(`alter view ${here(name)} rename column body to ${quoteIdent(fresh())}`);
      const rule = quoteIdent(fresh());
      if (chance(0.2)) {
        out.push(
          `create rule ${rule} as on insert to ${here(name)} do instead insert into ${t} (${c.key}, ${c.number}) values (new."Key", new.number)`,
        );
        comment(`rule ${rule} on ${here(name)}`);
      }
      if (chance(0.2))
        out.push(`create trigger ${quoteIdent(fresh())} instead of update on ${here(name)} for each row execute function ${here(fires)}()`);
      comment(`view ${here(name)}`);
    }
    comment(`column ${here(name)}.id`);
    if (chance(0.4)) out.push(`grant select on ${here(name)} to ${role()}${chance(0.3) ? ' with grant option' : ''}`);
    if (chance(0.3)) out.push(`grant select (id, number) on ${here(name)} to ${role()}`);
    chain.push(here(name));
  }
  if (chance(0.15)) out.push(`create view ${here(fresh())} as select ${c.id}, ${c.text} from ${t} group by ${primary.join(', ')}`);
  if (chance(0.1)) out.push(`create rule ${quoteIdent(fresh())} as on delete to ${t} do also select 1`);
  out.push(...late);
}

/** Routines with bodies of both kinds, the row type in some signatures, and a type made of it. */
export function addRoutines(workshop: Workshop): void {
  const { random, fresh, here, role, comment, out, t, c } = workshop;
  const { int, chance, pick } = random;
  for (let n = int(4); n > 0; n--) {
    const name = here(fresh());
    const [signature, create] = pick([
      [
        '(int)',
        `create function ${name}(wanted int) returns bigint language sql stable return (select count(*) from ${t} where ${c.number} = wanted)`,
      ],
      ['()', `create function ${name}() returns setof ${t} language sql stable begin atomic select * from ${t} limit 3; end`],
      [
        '()',
        `create procedure ${name}() language sql begin atomic insert into ${t} (${c.number}) values (1); delete from ${t} where ${c.number} = -1; end`,
      ],
      [`(${t})`, `create function ${name}(${t}) returns text language sql immutable as 'select $1.${c.text.replaceAll("'", "''")}'`],
      ['()', `create function ${name}() returns trigger language plpgsql as $f$ begin perform 1 from ${t}; return null; end $f$`],
    ] as const);
    out.push(create);
    comment(`routine ${name}${signature}`);
    if (chance(0.3))
      out.push(
        `revoke all on routine ${name}${signature} from public`,
        `grant execute on routine ${name}${signature} to ${role()}${chance(0.5) ? ' with grant option' : ''}`,
      );
    if (chance(0.2) && signature === '(int)') out.push(`create view ${here(fresh())} as select ${name}(3) as answer`);
  }
  if (chance(0.1)) out.push(`create type ${here(fresh())} as (of ${t}, n int)`);
}

/** Row security, of the table and of one that reads it. */
export function addPolicies(workshop: Workshop): void {
  const { random, roles, fresh, here, role, comment, out, t, table, c, parent, plain } = workshop;
  const { int, chance, pick } = random;
  for (let n = int(4); n > 0; n--) {
    const name = quoteIdent(fresh());
    const command = pick(['all', 'select', 'insert', 'update', 'delete']);
    const condition = pick([
      `${c.number} < 1000`,
      `${c.who} = current_user or ${c.ref} in (select p.id from ${here(parent)} p where p.name = ${quoteLiteral(fresh())})`,
      `exists (select from ${t} x where x.${c.id} = ${quoteIdent(table.name)}.${c.ref})`,
      `coalesce(current_setting('app.x', true), 'a') <> 'b'`,
    ]);
    const clauses =
      command === 'insert'
        ? `with check (${condition})`
        : command === 'select' || command === 'delete'
          ? `using (${condition})`
          : `using (${condition})${chance(0.5) ? ` with check (${condition})` : ''}`;
    out.push(
      `create policy ${name} on ${t} as ${pick(['permissive', 'restrictive'])} for ${command} to ${pick(['public', role(), `${quoteIdent(roles[0]!)}, ${quoteIdent(roles[1]!)}`])} ${clauses}`,
    );
    comment(`policy ${name} on ${t}`);
  }
  if (chance(0.4)) out.push(`alter table ${t} enable row level security${chance(0.4) ? ', force row level security' : ''}`);
  if (chance(0.4)) {
    const name = quoteIdent(fresh());
    out.push(
      `create policy ${name} on ${here(plain)} for select using (exists (select from ${t} e where e.${c.id} = about and e.${c.text} <> ${quoteLiteral(fresh())}))`,
      `alter table ${here(plain)} enable row level security`,
    );
    comment(`policy ${name} on ${here(plain)}`);
  }
}

/** Privileges, some of them passed on. */
export function addPrivileges(workshop: Workshop): void {
  const { random, roles, out, t, c, table } = workshop;
  const { int, chance, pick } = random;
  out.push(`grant usage on schema ${quoteIdent(table.schema)} to ${roles.map(quoteIdent).join(', ')}`);
  for (let n = int(5); n > 0; n--) {
    const to = pick([...roles.map(quoteIdent), 'public']);
    const option = to !== 'public' && chance(0.5);
    out.push(
      `grant ${pick(['select', 'select, insert, update', 'all', `select (${c.id}, ${c.text}), update (${c.number})`, `references (${c.id})`, 'trigger'])} on ${t} to ${to}${option ? ' with grant option' : ''}`,
    );
    if (option)
      out.push(
        `set role ${to}`,
        `grant ${pick(['select', `select (${c.text})`])} on ${t} to ${pick(['public', ...roles.map(quoteIdent).filter((name) => name !== to)])}`,
        'reset role',
      );
  }
  if (chance(0.2)) out.push(`revoke ${pick(['truncate', 'delete', 'references'])} on ${t} from current_user`);
}

/** What is seldom seen: the row type's own privileges and comment, owners of their own, casts, sequences in use elsewhere. */
export function addRareThings(workshop: Workshop): void {
  const { random, fresh, here, role, comment, out, t, c, fires } = workshop;
  const { chance, pick } = random;
  if (chance(0.2)) out.push(`grant usage on type ${t} to ${role()}`, `revoke usage on type ${t} from public`);
  comment(`type ${t}`, 0.15);
  if (chance(0.2)) {
    const other = role();
    const view = here(fresh());
    out.push(
      `create view ${view} as select ${c.id} from ${t}`,
      `alter view ${view} owner to ${other}`,
      `grant select (${c.id}) on ${t} to ${other}`,
    );
  }
  if (chance(0.15)) out.push(`alter table ${t} owner to ${role()}`);
  if (chance(0.1)) out.push(`alter trigger ${quoteIdent(fresh())} on ${t} depends on extension plpgsql`);
  if (chance(0.1)) {
    const cast = here(fresh());
    out.push(
      `create function ${cast}(${t}) returns int language sql immutable as 'select 1'`,
      `create cast (${t} as int) with function ${cast}(${t})`,
    );
  }
  if (chance(0.1)) out.push(`create domain ${here(fresh())} as ${t}`);
  if (chance(0.1)) out.push(`create table ${here(fresh())} (id int, of ${t})`);
  if (chance(0.15)) {
    const sequence = here(fresh());
    out.push(`create sequence ${sequence}`, `alter table ${t} alter column ${c.ref} set default nextval(${quoteLiteral(sequence)})`);
    comment(`sequence ${sequence}`);
  }
  if (chance(0.15)) {
    const value = here(fresh());
    out.push(
      `create function ${value}() returns text language sql return 'x'`,
      `alter table ${t} alter column ${c.other} set default ${value}()`,
    );
  }
  if (chance(0.1))
    out.push(`create operator ${quoteIdent(pick(['a', 'b']))}.=== (leftarg = ${t}, rightarg = ${t}, function = ${here(fires)})`);
  if (chance(0.1)) {
    const aggregate = here(fresh());
    out.push(
      `create function ${aggregate}(int, ${t}) returns int language sql immutable as 'select 1'`,
      `create aggregate ${here(fresh())}(${t}) (sfunc = ${aggregate}, stype = int)`,
    );
  }
}

/** The row as a whole, in a view, a condition, an index. */
export function addWholeRows(workshop: Workshop): void {
  const { random, fresh, here, comment, out, t, c, fires } = workshop;
  const { chance, pick } = random;
  if (chance(0.12))
    out.push(
      `create view ${here(fresh())} as select ${pick(['e', 'array_agg(e)', 'max(e::text)', 'row_to_json(e)', 'count(distinct e)'])} as it from ${t} e`,
    );
  if (chance(0.08)) out.push(`create materialized view ${here(fresh())} as select ${pick(['e', 'e::text'])} as it from ${t} e`);
  if (chance(0.2)) {
    const name = quoteIdent(fresh());
    out.push(
      `create trigger ${name} after update on ${t} for each row when (old.* is distinct from new.*) execute function ${here(fires)}()`,
    );
    comment(`trigger ${name} on ${t}`);
  }
  if (chance(0.1)) out.push(`create policy ${quoteIdent(fresh())} on ${t} using (${t} is not null)`);
  if (chance(0.06)) out.push(`alter table ${t} add constraint ${quoteIdent(fresh())} check (${t} is not null or true)`);
  if (chance(0.06)) out.push(`create index ${quoteIdent(fresh())} on ${t} ((${t} is null))`);
  if (chance(0.08)) {
    const of = here(fresh());
    out.push(
      `create function ${of}() returns setof ${t} language sql stable as 'select 1'`,
      `create view ${here(fresh())} as select ${c.id} from ${of}()`,
    );
  }
  if (chance(0.1))
    out.push(`create function ${here(fresh())}(${t}) returns int language sql stable as 'select found_by_search_path from another_table'`);
  if (chance(0.06)) out.push(`alter table ${t} add constraint ${quoteIdent(fresh())} exclude using btree (${c.id} with =)`);
  if (chance(0.06)) out.push(`create table ${here(fresh())} () inherits (${t})`);
  if (chance(0.08)) {
    const other = here(fresh());
    out.push(
      `create table ${other} (id int)`,
      `create constraint trigger ${quoteIdent(fresh())} after insert on ${other} from ${t} for each row execute function ${here(fires)}()`,
    );
  }
  if (chance(0.1)) out.push(`alter table ${t} add constraint ${quoteIdent(fresh())} check (${c.number} > -1) no inherit`);
}

/** What newer versions have. */
export function addNewerThings(workshop: Workshop): void {
  const { random, major, fresh, comment, out, t, c, parent, here } = workshop;
  const { chance } = random;
  const [check, key, column] = [quoteIdent(fresh()), quoteIdent(fresh()), quoteIdent(fresh())];
  if (major >= 15 && chance(0.2))
    out.push(`create unique index ${quoteIdent(fresh())} on ${t} (${c.doc}, ${c.key}) nulls not distinct where ${c.doc} <> '{}'`);
  if (major < 18) return;
  if (chance(0.3)) {
    out.push(`alter table ${t} add constraint ${check} check (${c.number} > 100000) not enforced`);
    comment(`constraint ${check} on ${t}`);
  }
  if (chance(0.3)) {
    out.push(`alter table ${t} add constraint ${key} foreign key (${c.ref}) references ${here(parent)} not enforced`);
    comment(`constraint ${key} on ${t}`);
  }
  if (chance(0.3)) {
    const constraint = quoteIdent(fresh());
    out.push(`alter table ${t} add constraint ${constraint} not null ${c.who}${chance(0.5) ? ' not valid' : ''}`);
    comment(`constraint ${constraint} on ${t}`, 0.7);
  }
  if (chance(0.3)) out.push(`alter table ${t} add column ${column} int generated always as (${c.number} + 1) virtual`);
  if (chance(0.1)) out.push(`create table ${here(fresh())} (about bigint references ${t} not enforced)`);
}
