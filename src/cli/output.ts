import { redact } from './redact.ts';

/** Prints data: stdout carries nothing else. */
export function print(text: string): void {
  process.stdout.write(`${redact(text)}\n`);
}

/** Prints one JSON document on one line. */
export function printJson(document: unknown): void {
  print(JSON.stringify(document));
}

/** Tells the person at the terminal something that is no data. */
export function tell(text: string): void {
  process.stderr.write(`${redact(text)}\n`);
}

/**
 * A line that is drawn over on a terminal. Elsewhere it is printed when it has changed, at most once per `quietMs`;
 * the last one is printed in any case.
 */
export function createProgressLine(stream: NodeJS.WriteStream, quietMs = 0): { show(line: string): void; end(): void } {
  let last = '';
  let drawn = false;
  let pending: string | null = null;
  let printedAt = Number.NEGATIVE_INFINITY;
  return {
    show(line) {
      if (line === last) return;
      last = line;
      const text = redact(line);
      if (!stream.isTTY) {
        const now = performance.now();
        pending = now - printedAt < quietMs ? text : null;
        if (pending !== null) return;
        printedAt = now;
        stream.write(`${text}\n`);
        return;
      }
      // One character less than the width: a full line makes some terminals wrap, and the next redraw would leave a trail.
      const width = Math.max(20, (stream.columns || 80) - 1);
      stream.write(`\r\u001b[2K${text.length > width ? `${text.slice(0, width - 1)}…` : text}`);
      drawn = true;
    },
    end() {
      if (drawn || pending !== null) stream.write(`${pending ?? ''}\n`);
      drawn = false;
      pending = null;
    },
  };
}
