import { readFileSync, statSync } from 'node:fs';

/** The password of the first line of the password file that fits. https://www.postgresql.org/docs/current/libpq-pgpass.html */
export function findPassword(
  file: string,
  place: { host: string; port: number; database: string; user: string },
): { readonly password: string } | 'open to others' | undefined {
  let text: string;
  try {
    const { mode } = statSync(file);
    // libpq passes over a file that others may read.
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) return 'open to others';
    text = readFileSync(file, 'utf8');
  } catch {
    return undefined; // no password file is the usual case
  }
  // A connection through a Unix socket is written as "localhost" there.
  const wanted = [place.host.startsWith('/') ? 'localhost' : place.host, String(place.port), place.database, place.user];
  for (const line of text.split(/\r?\n/)) {
    if (line === '' || line.startsWith('#')) continue;
    const fields = split(line);
    if (fields.length >= 5 && wanted.every((value, i) => fields[i]!.raw === '*' || fields[i]!.value === value))
      return { password: fields[4]!.value };
  }
  return undefined;
}

/** Splits at colons; `\:` and `\\` stand for the characters themselves. */
function split(line: string): { raw: string; value: string }[] {
  const fields = line.match(/(?:^|:)(?:[^:\\]|\\.?)*/gs) ?? [];
  return fields.map((field, i) => {
    const raw = i === 0 ? field : field.slice(1);
    return { raw, value: raw.replace(/\\(.)/gs, '$1') };
  });
}
