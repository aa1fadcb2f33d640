import { quoteIdent } from '../../domain/identifier.ts';

export type Provider = 'aurora' | 'rds' | 'cloudsql' | 'azure' | 'supabase' | 'neon';

/** What a managed service leaves to be seen: sql/preflight/server.sql. */
export interface ProviderMarks {
  /** What stands before the dot in the names of settings. */
  readonly prefixes: readonly string[];
  /** Roles of this name that there are. */
  readonly roles: readonly string[];
  /** Functions of this name in pg_catalog. */
  readonly functions: readonly string[];
}

/**
 * Which service runs the server; null for one that is run by hand, or by a service that shows nothing. Amazon's marks come
 * first: Supabase can be hosted by oneself on top of another service, and its roles are then there too.
 */
export function recognizeProvider({ prefixes, roles, functions }: ProviderMarks): Provider | null {
  if (functions.includes('aurora_version')) return 'aurora';
  if (prefixes.includes('rds') || roles.includes('rds_superuser')) return 'rds';
  if (prefixes.includes('cloudsql') || roles.includes('cloudsqlsuperuser')) return 'cloudsql';
  if (prefixes.includes('azure') || roles.includes('azure_pg_admin')) return 'azure';
  if (prefixes.includes('neon') || roles.includes('neon_superuser')) return 'neon';
  if (prefixes.includes('supautils') || roles.includes('supabase_admin')) return 'supabase';
  return null;
}

const NAMES: Readonly<Record<Provider, string>> = {
  aurora: 'Amazon Aurora',
  rds: 'Amazon RDS',
  cloudsql: 'Cloud SQL',
  azure: 'Azure',
  supabase: 'Supabase',
  neon: 'Neon',
};

/** ` on Amazon RDS`, or nothing. */
export function describeProvider(provider: Provider | null): string {
  return provider === null ? '' : ` on ${NAMES[provider]}`;
}

/** What lets a connection in where pg_hba.conf is the service's own; null where it is not. */
export function admissionFix(provider: Provider | null): string | null {
  if (provider === null) return null;
  const direct =
    provider === 'neon' ? " (the host without '-pooler')" : provider === 'supabase' ? ' (db.PROJECT.supabase.co, not the pooler)' : '';
  return `connect to the direct endpoint${direct}, with TLS (sslmode=require), and let this address in by the network rules of ${NAMES[provider]}`;
}

const WAL_LEVEL_FIX: Readonly<Record<Provider | 'other', string>> = {
  rds: 'set rds.logical_replication = 1 in the parameter group, then reboot the instance',
  aurora: 'set rds.logical_replication = 1 in the DB cluster parameter group, then reboot the writer instance',
  cloudsql: 'set the flag cloudsql.logical_decoding = on; the instance restarts',
  azure: 'set the server parameter wal_level = LOGICAL, then restart the server',
  supabase: "wal_level is logical on Supabase unless the project hosts it itself: ALTER SYSTEM SET wal_level = 'logical'; then restart it",
  neon: 'turn on Logical Replication in the settings of the Neon project; its computes restart, and it cannot be turned off again',
  other: "ALTER SYSTEM SET wal_level = 'logical'; then restart PostgreSQL",
};

export function walLevelFix(provider: Provider | null): string {
  return WAL_LEVEL_FIX[provider ?? 'other'];
}

/** Where the service keeps a setting of the server. `restart`: it takes effect with the next start only. */
export function settingFix(provider: Provider | null, name: string, value: string, restart: boolean): string {
  switch (provider) {
    case 'rds':
      return `set ${name} = ${value} in the parameter group${restart ? ', then reboot the instance' : ''}`;
    case 'aurora':
      return `set ${name} = ${value} in the DB cluster parameter group${restart ? ', then reboot the writer instance' : ''}`;
    case 'cloudsql':
      return `set the flag ${name} = ${value}${restart ? '; the instance restarts' : ''}`;
    case 'azure':
      return `set the server parameter ${name} = ${value}${restart ? ', then restart the server' : ''}`;
    case 'supabase':
      return `supabase --experimental postgres-config update --config ${name}=${value}${restart ? ' (the database restarts)' : ''}`;
    case 'neon':
      return `Neon sets ${name} itself: ask its support for ${value}`;
    case null:
      return restart
        ? `ALTER SYSTEM SET ${name} = ${literal(value)}; then restart PostgreSQL`
        : `ALTER SYSTEM SET ${name} = ${literal(value)}; SELECT pg_reload_conf();`;
  }
}

function literal(value: string): string {
  return /^-?\d+$/.test(value) ? value : `'${value}'`;
}

/** How a role comes to replicate. */
export function replicationRoleFix(provider: Provider | null, role: string): string {
  const alter = `ALTER ROLE ${quoteIdent(role)} REPLICATION;`;
  switch (provider) {
    case 'rds':
    case 'aurora':
      return `GRANT rds_replication TO ${quoteIdent(role)};`;
    case 'cloudsql':
      return `${alter} (as a role of cloudsqlsuperuser that has REPLICATION itself)`;
    case 'azure':
      return `${alter} (as the server's administrator)`;
    case 'supabase':
      return `${alter} (as postgres, which has it: or connect as postgres)`;
    case 'neon':
      return `${alter} (as a member of neon_superuser; roles made in the console have it)`;
    case null:
      return alter;
  }
}
