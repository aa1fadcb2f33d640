import { runDemo } from '../demo/demo.ts';
import { createLog } from './log.ts';
import type { Verb } from './program.ts';

/** `demo`: the whole way on a server of its own. */
export const demo: Verb = async (invocation) => {
  const { rows, rate, seconds } = invocation.own as { rows?: number; rate?: number; seconds?: number };
  return runDemo({
    rows,
    rate,
    seconds,
    json: invocation.json,
    databaseUrl: invocation.settings['database-url'],
    log: createLog(invocation.settings['log-level'] ?? 'warn'),
  });
};
