import { PLANNER, type Verification } from '../actions/verify-changes.ts';
import { close, connect, type Client } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';

/** A session that hashes ranges. The caller closes it. */
export async function openRangeSession(settings: ConnectionSettings, applicationName = 'partitioner ranges'): Promise<Client> {
  const client = await connect(settings, { applicationName });
  try {
    await client.query(`set jit = off; set work_mem = '64MB'`);
    return client;
  } catch (error) {
    await close(client);
    throw error;
  }
}

/** A session that compares changed keys. The caller closes it. */
export async function openRecheckSession(settings: ConnectionSettings, { sql }: Verification): Promise<Client> {
  const client = await openRangeSession(settings, 'partitioner verifier');
  try {
    await client.query([...PLANNER.map((name) => `set ${name} = off`), 'set plan_cache_mode = force_generic_plan'].join('; '));
    await client.query(sql.createCheck);
    return client;
  } catch (error) {
    await close(client);
    throw error;
  }
}
