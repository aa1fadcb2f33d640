import { existsSync } from 'node:fs';
import type { Logger } from 'pino';
import { shellWord, tableWord } from '../domain/command-word.ts';
import { MigratorError } from '../errors.ts';
import { withClient, type Client } from '../pg/client.ts';
import { resolveConnection, type ConnectionSettings } from '../pg/connection.ts';
import { loadConfig, settingsFor, type Config } from './config.ts';
import { createLog } from './log.ts';
import type { Invocation } from './program.ts';
import type { SettingValues } from './settings.ts';

/** What every verb needs: the merged settings, where to connect, and the log. */
export interface Session {
  readonly config: Config | null;
  readonly connection: ConnectionSettings;
  readonly log: Logger;
  /** The settings that hold for one table, or for none in particular. */
  settings(table: string | undefined): SettingValues;
}

/** The configuration file that the command line names, null when it names none. USAGE when it cannot be read. */
export function readConfig(invocation: Invocation): Config | null {
  if (invocation.config === undefined) return null;
  if (!existsSync(invocation.config)) {
    throw new MigratorError('USAGE', `the configuration file ${invocation.config} does not exist`, {
      hint: 'partitioner --help shows an example of one',
    });
  }
  return loadConfig(invocation.config);
}

/** Reads the configuration file and resolves the connection. Contacts nothing. */
export function openSession(invocation: Invocation, defaultLevel: 'info' | 'warn' = 'warn'): Session {
  const config = readConfig(invocation);
  const global = settingsFor(config, undefined, invocation.settings);
  return {
    config,
    connection: resolveConnection(
      {
        databaseUrl: global['database-url'],
        origin: invocation.settings['database-url'] === undefined ? `database-url of ${invocation.config ?? ''}` : '--database-url',
      },
      process.env,
    ),
    log: createLog(global['log-level'] ?? defaultLevel),
    settings: (table) => settingsFor(config, table, invocation.settings),
  };
}

/** The tables a verb is for: the one named, else those of the configuration file. */
export function tablesOf(invocation: Invocation, config: Config | null): readonly string[] {
  if (invocation.table !== undefined) return [invocation.table];
  const tables = config?.tables.map(({ table }) => table) ?? [];
  if (tables.length === 0) {
    throw new MigratorError('USAGE', 'missing argument TABLE', {
      hint: 'name it (app.events), or list it under "tables" in a --config file',
    });
  }
  return tables;
}

/** The single table of a verb that can take only one. */
export function oneTable(invocation: Invocation, config: Config | null, verb: string): string {
  const tables = tablesOf(invocation, config);
  if (tables.length > 1) {
    throw new MigratorError('USAGE', `${verb} takes one table, the configuration file lists ${tables.length}: ${tables.join(', ')}`, {
      hint: `partitioner ${verb} ${tableWord(tables[0]!)} --config ${shellWord(invocation.config ?? '')}`,
    });
  }
  return tables[0]!;
}

/** Runs `use` on a connection of the command line. */
export async function withSession<T>(session: Session, use: (client: Client) => Promise<T>): Promise<T> {
  return withClient(session.connection, { applicationName: 'partitioner', lockTimeoutMs: 2000 }, use);
}
