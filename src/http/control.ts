import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { ERROR_CODES, MigratorError } from '../errors.ts';

/** What may be asked for over HTTP. */
export type HttpVerb = 'pause' | 'resume';

/** Who may change something over HTTP, and who does it. */
export interface HttpControl {
  /** The secret of `Authorization: Bearer …`; null where nothing may be changed. */
  readonly token: string | null;
  readonly perform: (verb: HttpVerb) => Promise<void>;
}

/** Adds `POST /api/pause` and `POST /api/resume`. Only who has the token is heard; nobody without one is told whether there is one to guess. */
export function addControl(server: FastifyInstance, { token, perform }: HttpControl): void {
  for (const verb of ['pause', 'resume'] as const) {
    server.post(`/api/${verb}`, async (request, reply) => {
      if (token === null || !isToken(request.headers.authorization, token))
        return reply.code(401).header('www-authenticate', 'Bearer').send({ error: UNAUTHORIZED });
      try {
        await perform(verb);
        return { [verb === 'pause' ? 'paused' : 'resumed']: true };
      } catch (error) {
        if (!(error instanceof MigratorError)) throw error;
        return reply.code(ERROR_CODES[error.code].exit === 3 ? 409 : 503).send({ error });
      }
    });
  }
}

const UNAUTHORIZED = new MigratorError('USAGE', 'this needs the bearer token of the daemon', {
  hint: 'start the daemon with PARTITIONER_HTTP_TOKEN or --http-token-file, and send: Authorization: Bearer TOKEN',
});

/** In constant time: hashes are compared, which are of one length whatever was sent. */
export function isToken(header: string | undefined, token: string, equal: typeof timingSafeEqual = timingSafeEqual): boolean {
  const sent = /^Bearer (.+)$/i.exec(header ?? '')?.[1] ?? '';
  return equal(digest(sent), digest(token));
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
