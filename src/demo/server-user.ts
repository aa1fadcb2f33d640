import { readFileSync, realpathSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { MigratorError } from '../errors.ts';

/** Who a server runs as when this process is root: postgres and initdb refuse to run as root. */
export interface ServerUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Null where this process may run the server itself. */
export function findServerUser(): ServerUser | null {
  if (process.getuid?.() !== 0) return null;
  // initdb looks its user up, so a bare number is not enough.
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter(({ uid, gid }) => uid > 0 && gid > 0);
  const user =
    ['nobody', 'postgres', 'daemon'].map((name) => users.find((each) => each.name === name)).find((each) => each !== undefined) ?? users[0];
  if (!user)
    throw new MigratorError('USAGE', 'PostgreSQL does not run as root, and /etc/passwd has no other user', {
      hint: 'run as another user, or set DATABASE_URL',
    });
  return user;
}

/** The first directory for temporary files that the server's user can pass through and write to. */
export function scratchDirectory(user: ServerUser | null): string {
  const candidates = [tmpdir(), '/tmp', '/var/tmp'];
  const found = user === null ? candidates[0] : candidates.find((directory) => canReach(join(directory, '.'), user));
  if (found === undefined)
    throw new MigratorError('USAGE', `no directory for temporary files can be reached by user "${user?.name ?? ''}"`, {
      hint: 'set TMPDIR',
    });
  return found;
}

/** Whether a user may pass through every directory above a file, and read and execute the file itself. */
export function canReach(path: string, { uid, gid }: ServerUser): boolean {
  try {
    let current = realpathSync(path);
    for (;;) {
      const { mode, uid: owner, gid: group } = statSync(current);
      const bits = owner === uid ? mode >> 6 : group === gid ? mode >> 3 : mode;
      if ((bits & 0o1) === 0) return false;
      const parent = dirname(current);
      if (parent === current) return true;
      current = parent;
    }
  } catch {
    return false;
  }
}
