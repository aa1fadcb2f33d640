import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MigratorError } from '../errors.ts';
import { checkName, type ConnectionParameters } from './conninfo.ts';

/** Looks a service up as libpq does: the user's file first, then the system's. https://www.postgresql.org/docs/current/libpq-pgservice.html */
export function readService(service: string, env: NodeJS.ProcessEnv, home: string): ConnectionParameters {
  const files = [
    env['PGSERVICEFILE'] ?? join(home, '.pg_service.conf'),
    join(env['PGSYSCONFDIR'] ?? '/etc/postgresql-common', 'pg_service.conf'),
  ];
  for (const file of files.filter((each) => existsSync(each))) {
    const found = section(readFileSync(file, 'utf8'), service, file);
    if (found) return found;
  }
  throw new MigratorError('USAGE', `the definition of service "${service}" is not found`, {
    detail: `looked in ${files.join(' and ')}`,
    hint: `write a section [${service}] with host=, port=, dbname= and user= there, or name the file in PGSERVICEFILE`,
  });
}

function section(text: string, service: string, file: string): ConnectionParameters | null {
  let found: Record<string, string> | null = null;
  for (const line of text.split(/\r?\n/).map((each) => each.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('[')) {
      if (found) break;
      if (line === `[${service}]`) found = {};
      continue;
    }
    if (!found) continue;
    const equals = line.indexOf('=');
    if (equals < 0) throw new MigratorError('USAGE', `${file}: a line of service "${service}" is no key=value`);
    const name = line.slice(0, equals).trim();
    if (name === 'service')
      throw new MigratorError('USAGE', `${file}: service "${service}" names another service`, { hint: 'libpq does not nest services' });
    found[checkName(name, file)] = line.slice(equals + 1).trim();
  }
  return found;
}
