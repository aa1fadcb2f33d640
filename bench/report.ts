import { writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';

/** Reads `--name N` flags; `--out FILE` is known to every bench. */
export function readFlags<const D extends Readonly<Record<string, number>>>(
  defaults: D,
): { readonly values: { readonly [K in keyof D]: number }; readonly out: string | null } {
  const options = Object.fromEntries([...Object.keys(defaults), 'out'].map((name) => [name, { type: 'string' as const }]));
  const { values } = parseArgs({ options });
  const numbers = Object.entries(defaults).map(([name, fallback]) => {
    const given = values[name];
    const value = given === undefined ? fallback : Number(given);
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`--${name} ${String(given)} is no whole number`);
    return [name, value] as const;
  });
  return { values: Object.fromEntries(numbers) as { [K in keyof D]: number }, out: values['out'] ?? null };
}

/** Prints the report as one JSON document on stdout, and writes it to `out` as well. */
export async function report(bench: string, postgres: string, result: object, out: string | null): Promise<void> {
  const document = {
    bench,
    date: new Date().toISOString().slice(0, 10),
    machine: {
      cpus: cpus().length,
      model: cpus()[0]?.model ?? 'unknown',
      memoryGb: Math.round(totalmem() / 2 ** 30),
      node: process.version,
      postgres,
    },
    ...result,
  };
  const text = `${JSON.stringify(document, null, 2)}\n`;
  process.stdout.write(text);
  if (out !== null) await writeFile(out, text);
}

/** Says on stderr what is going on. */
export function note(line: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
}

export function round(value: number, digits = 2): number {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}

/** Seconds that `use` takes. */
export async function seconds(use: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await use();
  return (performance.now() - begun) / 1000;
}
