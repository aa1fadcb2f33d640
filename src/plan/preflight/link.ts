import { blocker, passed, unread, warning, type Finding } from './finding.ts';
import { admissionFix, type Provider } from './provider.ts';

/** What can be seen of the way to the server. */
export interface LinkFacts {
  /** The process that the server announced when the session began; a pooler announces a number of its own. */
  readonly announcedPid: number | null;
  /** pg_backend_pid() of some statements in a row, each its own transaction. */
  readonly backendPids: readonly number[];
  /** Whether a setting of the session is still there in a later transaction. */
  readonly stateSurvives: boolean;
  /** Whether a second session, opened beside the first, is served by the same server process; null when it was not tried. */
  readonly sharesBackend: boolean | null;
  readonly serverPort: number | null;
  readonly configuredPort: number | null;
}

const DIRECT = 'connect to the server itself: its own host and port in --database-url';

/** A transaction pooler gives itself away by serving two sessions with one server process, or one session with two. */
export function decideLink(facts: LinkFacts, endpoint: string): Finding {
  const pids = new Set(facts.backendPids);
  const port =
    facts.serverPort === null || facts.configuredPort === null || facts.serverPort === facts.configuredPort
      ? ''
      : ` (the server itself listens on port ${facts.serverPort})`;
  if (pids.size > 1) {
    return blocker(
      'direct-connection',
      endpoint,
      `a pooler stands in between: statements of one session ran in ${pids.size} server processes${port}`,
      DIRECT,
    );
  }
  if (facts.sharesBackend === true) {
    return blocker(
      'direct-connection',
      endpoint,
      `a pooler stands in between: two sessions at a time ran in one server process${port}`,
      DIRECT,
    );
  }
  if (!facts.stateSurvives) {
    return blocker(
      'direct-connection',
      endpoint,
      `a pooler stands in between: a setting of the session is gone in its next transaction${port}`,
      DIRECT,
    );
  }
  if (facts.announcedPid !== null && !pids.has(facts.announcedPid)) {
    return warning(
      'direct-connection',
      endpoint,
      `something stands in between that keeps sessions apart (a proxy, or a pooler in session mode)${port}: make sure that it does not end idle sessions`,
    );
  }
  return passed('direct-connection', endpoint, 'the connection goes to the server itself');
}

/** What became of the replication connection that was tried. */
export type ReplicationProbe =
  | { readonly outcome: 'opened' }
  | { readonly outcome: 'refused'; readonly sqlState: string | null; readonly message: string }
  /** Not tried, because another check has found why it must fail. */
  | { readonly outcome: 'skipped'; readonly reason: string };

const INVALID_AUTHORIZATION = '28000';
const PROTOCOL_VIOLATION = '08P01';
const TOO_MANY_CONNECTIONS = '53300';

export function decideReplicationConnection(
  probe: ReplicationProbe,
  {
    role,
    database,
    clientAddress,
    provider = null,
  }: { readonly role: string; readonly database: string; readonly clientAddress: string | null; readonly provider?: Provider | null },
): Finding {
  const id = 'replication-connection';
  if (probe.outcome === 'opened') return passed(id, role, 'a replication connection was opened and closed again');
  if (probe.outcome === 'skipped') return unread(id, role, probe.reason);
  const message = `a replication connection was refused: ${probe.message}`;
  const admission = admissionFix(provider) ?? hbaLine(role, database, clientAddress);
  switch (probe.sqlState) {
    case INVALID_AUTHORIZATION:
      return blocker(id, role, message, admission);
    case PROTOCOL_VIOLATION:
      return blocker(id, role, message, 'connect to PostgreSQL directly: a pooler does not pass replication connections on');
    case TOO_MANY_CONNECTIONS:
      return blocker(id, role, message, 'raise max_wal_senders (restart), or the CONNECTION LIMIT of the role or database');
    default:
      return blocker(id, role, message, admission);
  }
}

/** Logical replication connections match the database's name in pg_hba.conf; the keyword "replication" is for physical ones only. */
function hbaLine(role: string, database: string, clientAddress: string | null): string {
  const name = (text: string): string => (/^[a-z_][a-z0-9_]*$/.test(text) ? text : `"${text}"`);
  const from = clientAddress === null ? 'local' : 'host';
  const address = clientAddress === null ? '' : `${clientAddress}/${clientAddress.includes(':') ? 128 : 32}  `;
  return `add to pg_hba.conf: ${from}  ${name(database)}  ${name(role)}  ${address}scram-sha-256\nthen SELECT pg_reload_conf();`;
}
