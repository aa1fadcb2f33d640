import type { Client } from './client.ts';
import { bounded } from './key-look.ts';

/** The answer of `sql` to how large the largest row is; `unknown` when it takes longer than `seconds`. */
export async function lookForRowSize(client: Client, sql: string | null, seconds: number): Promise<number | 'unknown'> {
  if (sql === null) return 0;
  const bytes = await bounded(client, seconds, async () => (await client.query<{ bytes: string | null }>(sql)).rows[0]!.bytes ?? '0');
  return bytes === null ? 'unknown' : Number(bytes);
}
