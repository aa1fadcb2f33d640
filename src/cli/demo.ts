import { runDemo } from '../demo/demo.ts';
import { settingsFor } from './config.ts';
import { createLog } from './log.ts';
import type { Verb } from './program.ts';
import { readConfig } from './session.ts';

/** `demo`: the whole way on a server of its own. */
export const demo: Verb = async (invocation) => {
  const { rows, rate, seconds } = invocation.own as { rows?: number; rate?: number; seconds?: number };
  const settings = settingsFor(readConfig(invocation), undefined, invocation.settings);
  return runDemo({
    rows,
    rate,
    seconds,
    json: invocation.json,
    databaseUrl: settings['database-url'],
    log: createLog(settings['log-level'] ?? 'warn'),
  });
};
