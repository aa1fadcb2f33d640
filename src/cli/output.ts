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

/** A line that is drawn over on a terminal, and printed once per change elsewhere. */
export function createProgressLine(stream: NodeJS.WriteStream): { show(line: string): void; end(): void } {
  let last = '';
  let drawn = false;
  return {
    show(line) {
      if (line === last) return;
      last = line;
      const text = redact(line);
      if (!stream.isTTY) {
        stream.write(`${text}\n`);
        return;
      }
      // One character less than the width: a full line makes some terminals wrap, and the next redraw would leave a trail.
      const width = Math.max(20, (stream.columns || 80) - 1);
      stream.write(`\r\u001b[2K${text.length > width ? `${text.slice(0, width - 1)}…` : text}`);
      drawn = true;
    },
    end() {
      if (drawn) stream.write('\n');
      drawn = false;
      last = '';
    },
  };
}
