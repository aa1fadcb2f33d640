import type { Client } from '../../src/pg/client.ts';

/** Names of what a server keeps up to date by itself: VACUUM and ANALYZE move them at any time. */
const MOVING = ['relpages', 'reltuples', 'relallvisible', 'relallfrozen', 'relfrozenxid', 'relminmxid'];

/** Rows of the catalog that are the user's: objects made after initdb. */
const USERS: Readonly<Record<string, string>> = {
  pg_namespace: `nspname !~ '^pg_(toast_)?temp_'`,
  pg_class: 'oid >= 16384',
  pg_attribute: 'attrelid >= 16384',
  pg_attrdef: 'adrelid >= 16384',
  pg_constraint: 'oid >= 16384',
  pg_index: 'indrelid >= 16384',
  pg_inherits: 'true',
  pg_partitioned_table: 'true',
  pg_sequence: 'seqrelid >= 16384',
  pg_type: 'oid >= 16384',
  pg_depend: 'objid >= 16384 or refobjid >= 16384',
  pg_shdepend: 'dbid = (select oid from pg_database where datname = current_database())',
  pg_description: 'objoid >= 16384',
  pg_seclabel: 'true',
  pg_enum: 'true',
  pg_cast: 'oid >= 16384',
  pg_statistic_ext: 'true',
  pg_trigger: 'true',
  pg_rewrite: 'oid >= 16384',
  pg_policy: 'true',
  pg_proc: 'oid >= 16384',
  pg_default_acl: 'true',
  pg_event_trigger: 'true',
  pg_publication: 'true',
  pg_publication_rel: 'true',
  pg_subscription_rel: 'true',
};

/** The same as one hash for each catalog, and for each of the tables named besides: for those who look often. */
export async function catalogDigest(client: Client, besides: readonly string[] = []): Promise<Record<string, string>> {
  const { rows: server } = await client.query<{ version: number }>(`select current_setting('server_version_num')::int as version`);
  const tables = Object.entries({ ...USERS, ...(server[0]!.version >= 150000 ? { pg_publication_namespace: 'true' } : {}) });
  const digest = (table: string, condition: string): string =>
    `select '${table}' as name, coalesce((select md5(string_agg(r.line, '|' order by r.line)) from (select (to_jsonb(t) - $1::text[])::text as line from ${table} t where ${condition}) r), '') as hash`;
  const { rows } = await client.query<{ name: string; hash: string }>(
    [
      ...tables.map(([table, condition]) => digest(`pg_catalog.${table}`, condition)),
      ...besides.map((table) => digest(table, 'true')),
      `select 'slots', coalesce(string_agg(slot_name, ', ' order by slot_name), '') from pg_replication_slots where database = current_database()`,
      `select 'prepared', coalesce(string_agg(gid, ', ' order by gid), '') from pg_prepared_xacts`,
      `select 'locks', count(*)::text from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`,
    ].join(' union all '),
    [MOVING],
  );
  return Object.fromEntries(rows.map(({ name, hash }) => [name, hash]));
}

/** Every row that makes up the user's objects, and the database's slots, prepared transactions and advisory locks. */
export async function catalogSnapshot(client: Client): Promise<Record<string, unknown[]>> {
  const { rows: server } = await client.query<{ version: number }>(`select current_setting('server_version_num')::int as version`);
  const tables = { ...USERS, ...(server[0]!.version >= 150000 ? { pg_publication_namespace: 'true' } : {}) };
  const snapshot: Record<string, unknown[]> = {};
  for (const [table, condition] of Object.entries(tables)) {
    const { rows } = await client.query<{ row: unknown }>(
      `select to_jsonb(t) - $1::text[] as row from pg_catalog.${table} t where ${condition} order by 1`,
      [MOVING],
    );
    snapshot[table] = rows.map(({ row }) => row);
  }
  const { rows } = await client.query<{ what: string }>(`
    select 'slot ' || slot_name as what from pg_replication_slots where database = current_database()
    union all select 'prepared ' || gid from pg_prepared_xacts where database = current_database()
    union all select 'lock ' || classid || ' ' || objid from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())
    order by 1`);
  snapshot['of the database'] = rows.map(({ what }) => what);
  return snapshot;
}
