import type { QualifiedName } from '../domain/identifier.ts';
import type { SourceTable } from '../domain/table.ts';
import { resolveTable } from '../pg/catalog.ts';
import { inTransaction, type Client } from '../pg/client.ts';
import { describeConnection, type ConnectionSettings } from '../pg/connection.ts';
import { fetchMigration } from '../pg/control-store.ts';
import { fetchLinkFacts, probeReplication } from '../pg/link-facts.ts';
import {
  fetchRoleFacts,
  fetchServerFacts,
  fetchTableFacts,
  listEventTriggers,
  listOpenTransactions,
  listPreparedTransactions,
  listRelationNames,
} from '../pg/preflight-facts.ts';
import type { Fate } from '../plan/attachments/carried.ts';
import type { PlanOptions } from '../plan/options.ts';
import { decideEventTriggers, decidePrepared, decideTransactions } from '../plan/preflight/activity.ts';
import type { Finding } from '../plan/preflight/finding.ts';
import { decideLink, decideReplicationConnection, type ReplicationProbe } from '../plan/preflight/link.ts';
import { listNearest, decideOpenMigration } from '../plan/preflight/names.ts';
import { decideDatabaseRights, decideReplicationRole, mayReplicate, type RoleFacts } from '../plan/preflight/role.ts';
import {
  decideConnections,
  decideTimeouts,
  decideVersion,
  decideWal,
  type OpenMigration,
  type ServerFacts,
} from '../plan/preflight/server.ts';
import { decideSynchronous } from '../plan/preflight/standbys.ts';
import { decideTableFound, decideTableKind, decideTableMissing } from '../plan/preflight/table-kind.ts';
import { read, type CheckRun } from './check-run.ts';
import { checkSource } from './check-source.ts';

export type { Finding } from '../plan/preflight/finding.ts';

export interface CheckReport {
  /** Null when there is none, or none that can be migrated. */
  readonly table: SourceTable | null;
  readonly findings: readonly Finding[];
  /** The dependency map: what refers to the table, and what becomes of each. */
  readonly dependents: readonly Fate[];
}

/**
 * Looks at server, role and table and says what is in the way, each with what mends it. Changes nothing: it reads in read-only
 * transactions; beside them it opens a replication connection and closes it again, and plans the statements that the server has
 * seen on a temporary table, in a transaction that is rolled back.
 */
export async function checkTable(
  client: Client,
  settings: ConnectionSettings,
  tableText: string,
  options: PlanOptions,
): Promise<CheckReport> {
  const findings: Finding[] = [];
  const dependents: Fate[] = [];
  const run: CheckRun = { client, options, findings, dependents };
  const link = await fetchLinkFacts(client, settings);
  const linkFinding = decideLink(link, describeConnection(settings));
  findings.push(linkFinding);
  const server = await inTransaction(client, () => fetchServerFacts(client), READ_ONLY);
  const version = decideVersion(server);
  findings.push(...version);
  if (version.some(({ id, severity }) => id === 'server-version' && severity === 'blocker')) return { table: null, findings, dependents };

  const name = await resolve(run, tableText);
  const facts = name === null ? null : await read(run, ['table-exists', 'table-kind'], tableText, () => fetchTableFacts(client, name));
  const migration = name === null ? null : await read(run, ['migration'], tableText, () => openMigration(client, name));
  await checkServer(run, server, migration);
  const role = await inTransaction(client, () => fetchRoleFacts(client), READ_ONLY);
  await checkRole(run, {
    settings,
    server,
    role,
    migration,
    pooled: linkFinding.severity === 'blocker',
    clientAddress: link.clientAddress,
  });
  if (facts === null) {
    if (!findings.some(({ id }) => id === 'table-exists' || id === 'role-schema')) findings.push(await missing(run, tableText));
    return { table: null, findings, dependents };
  }
  const kind = decideTableKind(facts, migration);
  findings.push(decideTableFound(facts), ...kind, decideOpenMigration(migration, facts));
  if (!isOrdinary(kind)) return { table: null, findings, dependents };
  return { table: await checkSource(run, { facts, server, role, migration }), findings, dependents };
}

const READ_ONLY = 'begin transaction read only';

/** Whether it is a table at all, so that its columns and what hangs on it can be asked. */
function isOrdinary(kind: readonly Finding[]): boolean {
  return kind.some(({ id, severity }) => id === 'table-kind' && severity === 'ok');
}

async function resolve({ client }: CheckRun, text: string): Promise<QualifiedName | null> {
  return resolveTable(client, text);
}

async function missing(run: CheckRun, text: string): Promise<Finding> {
  const names = (await read(run, [], text, () => listRelationNames(run.client))) ?? [];
  const bare = text.replaceAll('"', '');
  const candidates = bare.includes('.')
    ? listNearest(
        bare,
        names.map(({ schema, name }) => `${schema}.${name}`),
      )
    : listNearest(bare, [...new Set(names.map(({ name }) => name))]).flatMap((near) =>
        names.filter(({ name }) => name === near).map(({ schema, name }) => `${schema}.${name}`),
      );
  // The right name in another schema is nearer than any other spelling.
  const elsewhere = names.filter(({ name }) => name === bare.split('.').at(-1)).map(({ schema, name }) => `${schema}.${name}`);
  return decideTableMissing(text, [...new Set([...elsewhere, ...candidates])].slice(0, 3));
}

async function openMigration(client: Client, name: QualifiedName): Promise<OpenMigration | null> {
  const migration = await fetchMigration(client, name);
  return migration === null || migration.phase === 'done' || migration.phase === 'aborted' ? null : migration;
}

async function checkServer(run: CheckRun, server: ServerFacts, migration: OpenMigration | null): Promise<void> {
  const { client, findings } = run;
  findings.push(
    ...decideWal(server, migration),
    ...decideTimeouts(server),
    decideSynchronous(server),
    decideConnections(server, migration),
  );
  const prepared = await read(run, ['prepared-transactions'], '', () => listPreparedTransactions(client));
  if (prepared !== null) findings.push(...decidePrepared(prepared));
  const transactions = await read(run, ['long-transactions'], '', () => listOpenTransactions(client));
  if (transactions !== null) findings.push(...decideTransactions(transactions));
  const triggers = await read(run, ['event-triggers'], '', () => listEventTriggers(client));
  if (triggers !== null) findings.push(...decideEventTriggers(triggers));
}

interface RoleContext {
  readonly settings: ConnectionSettings;
  readonly server: ServerFacts;
  readonly role: RoleFacts;
  readonly migration: OpenMigration | null;
  readonly pooled: boolean;
  readonly clientAddress: string | null;
}

/** A replication connection that must fail for a reason that is known already is not reported a second time. */
async function checkRole({ findings }: CheckRun, { settings, server, role, migration, pooled, clientAddress }: RoleContext): Promise<void> {
  const full = findings.some(({ id, severity }) => id === 'wal-senders' && severity === 'blocker');
  const reason = pooled ? 'a pooler stands in between' : full && migration === null ? 'no WAL sender is free' : null;
  const probe: ReplicationProbe = reason === null ? await probeReplication(settings) : { outcome: 'skipped', reason };
  const roleFinding = decideReplicationRole(role, probe, server.provider);
  const known: ReplicationProbe =
    probe.outcome === 'refused' && !mayReplicate(role) ? { outcome: 'skipped', reason: `role ${role.role} may not replicate` } : probe;
  findings.push(
    roleFinding,
    decideReplicationConnection(known, { role: role.role, database: role.database, clientAddress, provider: server.provider }),
    ...decideDatabaseRights(role),
  );
}
