/** Who holds a lock that somebody waits for. Fields are null where our role may not look (pg_read_all_stats). */
export interface Blocker {
  /** 0 when no session holds the lock: a prepared transaction. */
  readonly pid: number;
  /** The prepared transaction's identifier. */
  readonly gid: string | null;
  /** Null for a process of the server. */
  readonly role: string | null;
  readonly application: string;
  readonly state: string | null;
  /** Age of the transaction. */
  readonly seconds: number | null;
  readonly query: string | null;
  /** It waits for a lock itself: for somebody else, or for somebody else's place in the queue. */
  readonly waits: boolean;
  readonly autovacuum: boolean;
  /** Of an autovacuum: it is one that does not yield. */
  readonly wraparound: boolean;
}

const OURS = /^partitioner( |$)/;

/** In one phrase, for `status`, warnings and errors. */
export function describeBlocker(blocker: Blocker): string {
  const { pid, gid, role, application, state, seconds, query, waits } = blocker;
  const age = seconds === null ? [] : [`${seconds} s`];
  const list = (parts: readonly (string | null)[]): string => {
    const known = parts.filter((part) => part !== null && part !== '');
    return known.length === 0 ? '' : ` (${known.join(', ')})`;
  };
  if (gid !== null) return `prepared transaction '${gid}' of ${role ?? '?'}${list([...age, 'no session holds its locks'])}`;
  if (blocker.autovacuum) {
    return `pid ${pid} of autovacuum${list([...age, blocker.wraparound ? 'to prevent wraparound: it does not yield' : 'it yields when it is waited for'])}`;
  }
  const ours = OURS.test(application);
  const who = `pid ${pid} of ${role ?? '?'}${list([ours ? `${application}: a session of ours` : application, state, ...age, waits ? 'waits for a lock itself' : null])}`;
  return query === null || query === '' || ours ? who : `${who}: ${query}`;
}

/** Some of them, in one phrase; '' when there are none. */
export function describeBlockers(blockers: readonly Blocker[]): string {
  return blockers.map(describeBlocker).join('; ');
}

/** What ends the one that has held longest; null when only patience does. */
export function adviseOnBlockers(blockers: readonly Blocker[]): string | null {
  const [first] = blockers;
  if (!first) return null;
  const { pid, gid, state, autovacuum, wraparound } = first;
  if (gid !== null) return `COMMIT PREPARED '${gid.replaceAll("'", "''")}' or ROLLBACK PREPARED, once you know which`;
  if (autovacuum)
    return wraparound ? `let the VACUUM of pid ${pid} end: it is needed, and pg_stat_progress_vacuum shows how far it is` : null;
  if (state?.startsWith('idle in transaction') === true)
    return `have the application end its transaction, or SELECT pg_terminate_backend(${pid})`;
  return null;
}
