import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import pino from 'pino';
import { finishMigration } from '../../src/actions/finish.ts';
import type { Major } from '../../src/demo/embedded-server.ts';
import type { Client } from '../../src/pg/client.ts';
import type { ConnectionSettings } from '../../src/pg/connection.ts';
import type { PlanOptions } from '../../src/plan/options.ts';
import { catalogFacts } from './catalog-facts.ts';
import { differences, expectAllowed, leafDifferences, splitLeaves, type Allowed } from './catalog-differences.ts';
import { checkAs, found } from './check.ts';
import type { TestDatabase } from './database.ts';
import { command, startDaemon, untilPhase } from './daemon.ts';
import { application, type Application } from './journey.ts';
import { dumpDifferences, dumpSchemas, missingPgDump } from './pg-dump.ts';
import { DEFAULT_MAJOR } from './server.ts';

/** A schema of an application, its table that is to be partitioned, and what may differ afterwards. */
export interface RebuiltSchema {
  readonly schemas: readonly string[];
  /** As SQL writes it. */
  readonly table: string;
  readonly plan: Partial<PlanOptions> & { readonly range: string };
  readonly create: (client: Client, major: Major) => Promise<void>;
  /** One statement, or one transaction, of the writer; any error of it fails the test. */
  readonly write: readonly ((application: Application) => Promise<unknown>)[];
  /** Read by a session that has prepared its statements before: the same before and after. No writer changes what it reads. */
  readonly look: (application: Application) => Promise<unknown>;
  /** What must go on working afterwards; run before too. */
  readonly act?: (application: Application) => Promise<void>;
  /** Between the catalog before and after, leaves left out. */
  readonly allowed: readonly Allowed[];
  /** Between the table before and each of its leaves. */
  readonly allowedOnLeaves: readonly Allowed[];
  /** Between the texts of pg_dump. */
  readonly allowedInDump: readonly Allowed[];
  /** The role that migrates; the server's own if absent. */
  readonly settings?: ConnectionSettings;
}

const SILENT = pino({ level: 'silent' });

/** Creates it, takes its table through the whole migration by the real daemon beside a writer, and compares what the catalog says. */
export async function migrateRebuilt(database: TestDatabase, schema: RebuiltSchema, major: Major = DEFAULT_MAJOR): Promise<void> {
  const { schemas, table, plan, settings = database.settings } = schema;
  const control = await database.client();
  await schema.create(control, major);
  const session = application(await database.client('application'));
  await session.client.query('set row_security = on'); // sessions of the tests are pinned like the tool's own
  const seen = await schema.look(session);
  await schema.act?.(session);
  const before = await catalogFacts(control, schemas);
  const withoutDump = await missingPgDump(major);
  if (withoutDump !== null) console.warn(`not compared in the manner of pg_dump: ${withoutDump}`);
  const dumped = withoutDump === null ? await dumpSchemas(database, schemas) : null;
  expect(found(await checkAs(settings, table, plan), 'blocker'), 'what check refuses').toEqual([]);

  const load = startLoad(application(await database.client('application')), schema.write);
  await using daemon = startDaemon(settings, table, { chunkBytes: 64 * 1024, ...plan });
  const { id } = await Promise.race([
    untilPhase(control, 'ready'),
    daemon.ended.then(() => Promise.reject(new Error('the daemon has ended'))),
  ]);
  await command(control, id, 'cutover', { lockTimeoutMs: 1_000, maxLockHoldMs: 10_000, attempts: 60 });
  expect(await schema.look(session), 'right after the switch').toEqual(seen);
  await sleep(300);
  expect(await load.stop(), 'transactions of the writer').toBeGreaterThan(20);
  await daemon.ended;
  await finishMigration(settings, id, { dropRetired: true }, SILENT);

  const { rest, leaves } = splitLeaves(await catalogFacts(control, schemas), table);
  expect(leaves.size, 'leaves').toBeGreaterThan(2);
  expectAllowed('the catalog', differences(before, rest), schema.allowed);
  const ofLeaves = [...leaves].flatMap(([name, leaf]) => leafDifferences(before, table, name, leaf));
  expectAllowed('the leaves', ofLeaves, schema.allowedOnLeaves);
  if (dumped)
    expectAllowed(
      'pg_dump',
      dumpDifferences(
        dumped,
        await dumpSchemas(database, schemas),
        [...leaves.keys()].map((name) => name.slice(name.lastIndexOf('.') + 1).replaceAll('"', '')),
      ),
      schema.allowedInDump,
    );
  expect(await schema.look(session), 'at the end').toEqual(seen);
  await schema.act?.(session);
}

function startLoad(session: Application, write: RebuiltSchema['write']): { stop(): Promise<number> } {
  let stopped = false;
  const loop = async (): Promise<number> => {
    let count = 0;
    for (; !stopped; count++) {
      await write[count % write.length]!(session);
      await sleep(10);
    }
    return count;
  };
  const done = loop();
  done.catch(() => undefined);
  return {
    stop: async () => {
      stopped = true;
      const count = await done;
      await session.client.end();
      return count;
    },
  };
}
