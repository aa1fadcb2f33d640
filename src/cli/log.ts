import { pino, type Logger } from 'pino';
import { redact } from './redact.ts';

/** Logs as JSON lines on stderr, written at once: what a dying process logged last is what one looks for. */
export function createLog(level: string): Logger {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
    { write: (line: string) => void process.stderr.write(redact(line)) },
  );
}
