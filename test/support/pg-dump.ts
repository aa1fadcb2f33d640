import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Major } from '../../src/demo/embedded-server.ts';
import type { TestDatabase } from './database.ts';

const run = promisify(execFile);

/** Whether the pg_dump on the PATH, if there is one, can read a server of this major; what is missing when it cannot. */
export async function missingPgDump(major: Major): Promise<string | null> {
  const { stdout } = await run('pg_dump', ['--version']).catch(() => ({ stdout: '' }));
  const found = /\(PostgreSQL\) (\d+)/.exec(stdout)?.[1];
  if (found === undefined) return 'there is no pg_dump on the PATH';
  return Number(found) < major ? `the pg_dump on the PATH is of ${found}, and the server of ${String(major)}` : null;
}

/** `pg_dump --schema-only` of the schemas, by its own headings: `posts_pkey; Type: CONSTRAINT`. What comes twice gets a number. */
export async function dumpSchemas(database: TestDatabase, schemas: readonly string[]): Promise<Map<string, string>> {
  const { stdout } = await run('pg_dump', ['--schema-only', '--no-sync', ...schemas.map((schema) => `--schema=${schema}`), database.url], {
    maxBuffer: 64 * 1024 * 1024,
  });
  const parts = stdout.split(/^--\n-- Name: (.*); Schema: .*\n--\n/m);
  const blocks = new Map<string, string>();
  for (let i = 1; i < parts.length; i += 2) {
    let heading = parts[i]!;
    for (let n = 2; blocks.has(heading); n++) heading = `${parts[i]!} (${String(n)})`;
    blocks.set(heading, statements(parts[i + 1]!));
  }
  return blocks;
}

/** `- heading: text` that is gone, `+` new, `~` changed; without what belongs to one of the leaves. */
export function dumpDifferences(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
  leaves: readonly string[],
): string[] {
  return [
    ...[...before].filter(([heading]) => !after.has(heading)).map(([heading, text]) => `- ${heading}: ${text}`),
    ...[...after]
      .filter(([heading, text]) => !before.has(heading) && !leaves.some((leaf) => text.includes(leaf)))
      .map(([heading, text]) => `+ ${heading}: ${text}`),
    ...[...before]
      .filter(([heading, text]) => after.has(heading) && after.get(heading) !== text)
      .map(([heading, text]) => `~ ${heading}: ${text} -> ${after.get(heading)!}`),
  ];
}

/** One line, without what pg_dump repeats where it changes (tablespace, access method) and without ONLY; grants come in no order. */
function statements(text: string): string {
  const line = text
    .replace(/^(SET default_.*|SELECT pg_catalog\.set_config.*|-- PostgreSQL database dump complete|--|\\(un)?restrict .*)$/gm, '')
    .replaceAll(/\b(TABLE|ON) ONLY /g, '$1 ')
    .replaceAll(/\s+/g, ' ')
    .trim();
  return /^(GRANT|REVOKE) /.test(line)
    ? line
        .split(/(?<=;) /)
        .sort()
        .join(' ')
    : line;
}
