import { expect, test } from 'vitest';
import pino from 'pino';
import { abortMigration } from '../../../src/actions/abort.ts';
import { finishMigration } from '../../../src/actions/finish.ts';
import { quoteIdent } from '../../../src/domain/identifier.ts';
import type { Client } from '../../../src/pg/client.ts';
import type { ConnectionSettings } from '../../../src/pg/connection.ts';
import { generate, seeded, type Generated } from '../../support/attachment-generator.ts';
import { differences, leafDifferences, splitLeaves } from '../../support/catalog-differences.ts';
import { catalogFacts } from '../../support/catalog-facts.ts';
import { catalogSnapshot } from '../../support/catalog-snapshot.ts';
import { checkAs } from '../../support/check.ts';
import { createDatabase } from '../../support/database.ts';
import { command, startDaemon, untilPhase } from '../../support/daemon.ts';
import { explainGenerated, explainGeneratedLeaf } from '../../support/generated-differences.ts';
import { partitioner } from '../../support/partitioner.ts';
import { createMigrator, createRole } from '../../support/roles.ts';
import { DEFAULT_MAJOR } from '../../support/server.ts';

/**
 * Random objects of every kind on a table, which is then migrated: what the catalog says afterwards is what it said before, but for what
 * partitioning and the decisions change. TEST_SEED=n replays one, TEST_ATTACHMENTS=n says how many.
 */

const COUNT = Number(process.env['TEST_ATTACHMENTS'] ?? '5');
/** The same ones each time, so that a change is judged by itself; with a count of its own, others each time. */
const FIRST = Number(process.env['TEST_SEED'] ?? (process.env['TEST_ATTACHMENTS'] === undefined ? 1 : Date.now() % 1_000_000_000));
const SILENT = pino({ level: 'silent' });

test.each(Array.from({ length: COUNT }, (_, n) => FIRST + n))('TEST_SEED=%i', async (seed) => {
  await using database = await createDatabase();
  const roles: string[] = [];
  for (let n = 0; n < 3; n++) roles.push((await createRole(database, 'nologin', ['create'])).name);
  const control = await database.client();
  const generated = generate(seed, DEFAULT_MAJOR, roles);
  // Some belong to an ordinary role, and are migrated by a mere member of it.
  const member = seeded(seed + 3).chance(0.35) ? await createMigrator(database) : null;
  const { settings } = member ?? database;
  if (member) await control.query(`grant ${quoteIdent(roles[0]!)} to ${quoteIdent(member.name)}`);
  await create(control, generated, member ? quoteIdent(roles[0]!) : null);
  const { rows: names } = await control.query<{ table: string }>(`select format('%I.%I', $1::text, $2::text) as table`, [
    generated.schema,
    generated.table.name,
  ]);
  const { table } = names[0]!;
  const plan = { range: generated.key, decisions: await settle(settings, control, generated, table, seed) };

  const before = await catalogFacts(control, [generated.schema]);
  const snapshot = await catalogSnapshot(control);
  await control.query(generated.insert);
  if (seeded(seed + 2).chance(0.4)) {
    const decided = Object.entries(plan.decisions).flatMap(([name, choice]) => ['--decide', `${name}=${choice}`]);
    const planned = await partitioner(['plan', table, '--range', generated.key, ...decided], { DATABASE_URL: (member ?? database).url });
    expect(planned, planned.stderr).toMatchObject({ code: 0 });
    await abortHalfway(settings, control, table, plan);
    expect(await catalogSnapshot(control)).toEqual(snapshot);
  }
  await using daemon = startDaemon(settings, table, plan);
  const { id } = await Promise.race([
    untilPhase(control, 'ready'),
    daemon.ended.then(() => Promise.reject(new Error('the daemon has ended'))),
  ]);
  await control.query(generated.insert);
  await command(control, id, 'cutover', { lockTimeoutMs: 1_000, maxLockHoldMs: 10_000, attempts: 20 });
  await daemon.ended;
  await control.query(generated.insert);
  await finishMigration(settings, id, { dropRetired: true }, SILENT);

  const after = await catalogFacts(control, [generated.schema]);
  const { rest, leaves } = splitLeaves(after, table);
  const context = {
    table,
    decisions: plan.decisions,
    quoted: await quoteAll(control, generated, plan.decisions),
    key: generated.key,
    before,
    major: DEFAULT_MAJOR,
    keepsGrantors: member === null,
  };
  expect(differences(before, rest).filter((line) => !explainGenerated(line, context))).toEqual([]);
  for (const [name, leaf] of leaves)
    expect(leafDifferences(before, table, name, leaf).filter((line) => !explainGeneratedLeaf(line, context))).toEqual([]);
});

/** Statement by statement: what PostgreSQL refuses was no such object. */
async function create(client: Client, { statements }: Generated, owner: string | null): Promise<void> {
  const refused: string[] = [];
  await client.query('set check_function_bodies = off');
  if (owner !== null) await client.query(`set role ${owner}`);
  for (const statement of statements)
    await client
      .query(owner !== null && statement === 'reset role' ? `set role ${owner}` : statement)
      .catch((error: unknown) => refused.push(`${String(error)}: ${statement}`));
  await client.query('reset role');
  if (process.env['TEST_VERBOSE'] !== undefined) console.log(statements.join(';\n'), '\nrefused:\n', refused.join('\n'));
  expect(refused.length, `too much is refused: ${refused.join('\n')}`).toBeLessThan(statements.length / 4);
}

/** Does what `check` says, until it refuses nothing more: its own SQL, or one of the decisions that it offers. */
async function settle(
  settings: ConnectionSettings,
  client: Client,
  generated: Generated,
  table: string,
  seed: number,
): Promise<Record<string, string>> {
  const random = seeded(seed + 1);
  let decisions: Record<string, string> = {};
  for (let round = 0; round < 12; round++) {
    const findings = await checkAs(settings, table, { range: generated.key, decisions });
    const blockers = findings.filter(({ severity }) => severity === 'blocker');
    if (blockers.length === 0) return decisions;
    const [blocker] = blockers;
    const { object, message, fix = '' } = blocker!;
    if (process.env['TEST_VERBOSE'] !== undefined) console.log({ message, fix });
    if (blocker!.id === 'decisions') {
      // What it was about went with another fix.
      decisions = Object.fromEntries(Object.entries(decisions).filter(([name]) => name !== object));
      continue;
    }
    const offered = [...fix.matchAll(/--decide (.+?)=(root|leaves|widen:COLUMN|widen|per-leaf|drop)(?=[ ,;)]|$)/g)].map(
      ([, name, choice]) => ({ name: name!, choice: choice! }),
    );
    if (offered.length > 0) {
      const { name, choice: wanted } = random.pick(offered);
      const child = [...generated.keyOfChild].find(([full]) => name.startsWith(`foreign-key:${full}.`));
      const choice = wanted === 'widen:COLUMN' && !child ? 'drop' : wanted;
      decisions[name] = choice.replace('COLUMN', child?.[1] ?? '');
    } else {
      const sql = firstStatements(fix) ?? (await dropIt(client, object));
      expect(sql, `no fix: ${JSON.stringify(blocker)}`).toBeTruthy();
      await client.query(sql!).catch((error: unknown) => {
        throw new Error(`${sql!}: ${String(error)} (${message})`);
      });
    }
  }
  throw new Error('check goes on refusing');
}

/** The statements that a fix begins with; semicolons in quotes end none. */
function firstStatements(fix: string): string | null {
  return /^((?:ALTER|DROP|GRANT|REVOKE|CREATE) (?:"(?:[^"]|"")*"|[^";])*;? ?)+/.exec(fix)?.[0] ?? null;
}

/** What `check` names without SQL to mend it (what is to become of it is up to its owner) goes, with what depends on it. */
async function dropIt(client: Client, object: string): Promise<string | null> {
  const { rows } = await client.query<{ sql: string }>(
    `select format('drop %s %I.%I cascade', case relkind when 'v' then 'view' when 'm' then 'materialized view' when 'c' then 'type' else 'table' end, nspname, relname) as sql
     from pg_class c join pg_namespace n on n.oid = c.relnamespace where $1 in (nspname || '.' || relname, format('%I.%I', nspname, relname))
     union all select format('drop routine %s cascade', p.oid::regprocedure) from pg_proc p where p.oid::regprocedure::text = $1
     union all select format('drop type %s cascade', t.oid::regtype) from pg_type t where t.oid::regtype::text = $1 and t.typtype <> 'c'`,
    [object],
  );
  return rows[0]?.sql ?? null;
}

async function abortHalfway(
  settings: ConnectionSettings,
  control: Client,
  table: string,
  plan: { range: string; decisions: Record<string, string> },
): Promise<void> {
  await using daemon = startDaemon(settings, table, plan);
  const { id } = await Promise.race([
    untilPhase(control, 'ready'),
    daemon.ended.then(() => Promise.reject(new Error('the daemon has ended'))),
  ]);
  await daemon.stop();
  await abortMigration(settings, id, SILENT);
}

async function quoteAll(client: Client, { key }: Generated, decisions: Record<string, string>): Promise<(name: string) => string> {
  const names = [
    key,
    ...Object.entries(decisions).flatMap(([full, choice]) => [
      full.slice(full.indexOf(':') + 1),
      full.slice(full.lastIndexOf('.') + 1),
      choice.slice(choice.indexOf(':') + 1),
    ]),
  ];
  const { rows } = await client.query<{ name: string; quoted: string }>(
    'select name, quote_ident(name) as quoted from unnest($1::text[]) name',
    [names],
  );
  const quoted = new Map(rows.map((row) => [row.name, row.quoted]));
  return (name) => quoted.get(name) ?? name;
}
