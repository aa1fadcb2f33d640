import type { Client } from './client.ts';

/** server_version_num: 170004 is 17.4. */
export async function fetchVersion(client: Client): Promise<number> {
  const { rows } = await client.query<{ version: number }>(`select current_setting('server_version_num')::int as version`);
  return rows[0]!.version;
}
