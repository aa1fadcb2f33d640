import { fetchStatus, type Status } from '../actions/status.ts';
import { MigratorError } from '../errors.ts';
import { createMetrics, type Metrics } from '../http/metrics.ts';
import { PortInUse, startHttp, type HttpServer } from '../http/server.ts';
import { close, connect, type Client } from '../pg/client.ts';
import { performOverHttp } from './http-control.ts';
import type { DaemonOptions } from './options.ts';

const AGAIN_MS = 5_000;

/**
 * What a daemon shows over HTTP, from its first moment to its last: whatever it works on or waits for, with PostgreSQL or without it. It has a
 * session of its own, opened when somebody asks.
 */
export class Display {
  readonly metrics: Metrics = createMetrics();
  readonly #options: DaemonOptions;
  #server: HttpServer | null = null;
  #refused: PortInUse | null = null;
  #retry: NodeJS.Timeout | null = null;
  #session: Promise<Client> | null = null;
  #migration: number | null = null;

  private constructor(options: DaemonOptions) {
    this.#options = options;
  }

  /** Begins to listen. A port that is taken is no error yet: it may be that of the daemon beside which this one stands by. Throws USAGE for other addresses that cannot be had. */
  static async open(options: DaemonOptions): Promise<Display> {
    const display = new Display(options);
    await display.#listen();
    return display;
  }

  show(migrationId: number): void {
    this.#migration = migrationId;
    this.metrics.setMigration(migrationId);
  }

  /**
   * The daemon begins to work. Throws USAGE when the port is taken and it is the first one: nothing has been done yet, and another one can be given. Who
   * takes over from a daemon that may still be there works all the same, and listens as soon as the port is free.
   */
  work({ stoodBy }: { readonly stoodBy: boolean }): void {
    if (this.#refused === null || this.#retry !== null) return;
    if (!stoodBy) throw this.#refused;
    const { log } = this.#options;
    log.warn({ err: this.#refused.message }, 'nothing is served over HTTP until the port is free');
    this.#retry = setInterval(() => {
      this.#listen().catch((error: unknown) => {
        log.warn({ err: (error as Error).message }, 'nothing is served over HTTP');
      });
    }, AGAIN_MS);
  }

  async close(): Promise<void> {
    if (this.#retry !== null) clearInterval(this.#retry);
    await this.#server?.close();
    await this.#drop();
  }

  async #listen(): Promise<void> {
    const { http, log } = this.#options;
    if (!http || this.#server !== null) return;
    try {
      this.#server = await startHttp({
        ...http,
        metrics: this.metrics,
        control: { token: http.token ?? null, perform: (verb) => performOverHttp(this.#options.settings, this.#shown(), verb) },
        status: () => this.#readStatus(),
      });
    } catch (error) {
      if (!(error instanceof PortInUse)) throw error;
      this.#refused = error;
      return;
    }
    this.#refused = null;
    if (this.#retry !== null) clearInterval(this.#retry);
    log.info({ url: this.#server.url }, 'serving');
  }

  #shown(): number {
    if (this.#migration === null) throw new MigratorError('WRONG_PHASE', 'the migration has not begun yet');
    return this.#migration;
  }

  async #readStatus(): Promise<Status> {
    const id = this.#shown();
    const { settings, table } = this.#options;
    this.#session ??= connect(settings, { applicationName: 'partitioner http' });
    try {
      const found = (await fetchStatus(await this.#session, table)).find(({ migration }) => migration === id);
      if (found) return found;
    } catch (error) {
      await this.#drop();
      throw error;
    }
    throw new MigratorError('WRONG_PHASE', `migration ${String(id)} is no more`);
  }

  async #drop(): Promise<void> {
    const session = this.#session;
    this.#session = null;
    await session?.then(close).catch(() => undefined);
  }
}
