import { fetchStatus } from '../actions/status.ts';
import { quoteName } from '../domain/identifier.ts';
import { invariant } from '../errors.ts';
import type { Metrics } from '../http/metrics.ts';
import { startHttp, type HttpServer } from '../http/server.ts';
import type { Client } from '../pg/client.ts';
import { performOverHttp } from './http-control.ts';
import type { Pool } from './pool.ts';
import type { RunOptions } from './run-migration.ts';

/** Serves metrics, status and control over HTTP for as long as the migration runs; nothing where it is off. */
export async function serveHttp(
  { http, migration, wayBack, settings, log }: RunOptions,
  desk: Pool<Client>,
  metrics: Metrics,
  closing: (() => Promise<unknown>)[],
): Promise<void> {
  if (!http) return;
  const server: HttpServer = await startHttp({
    ...http,
    metrics,
    control: { token: http.token ?? null, perform: (verb) => performOverHttp(settings, wayBack?.parent.id ?? migration.id, verb) },
    status: async () => {
      const [status] = await desk.use((control) => fetchStatus(control, quoteName(migration.source)));
      invariant(status, 'the migration that runs has no status');
      return status;
    },
  });
  closing.push(() => server.close());
  log.info({ url: server.url }, 'serving');
}
