import { formatDuration } from '../../domain/quantity.ts';
import { passed, unread, warning, type Finding } from './finding.ts';

export interface PreparedTransaction {
  readonly gid: string;
  readonly owner: string;
  readonly database: string;
  readonly seconds: number;
}

/** A session inside a transaction. `seconds` is null when the role may not see it. */
export interface OpenTransaction {
  readonly pid: number;
  readonly role: string | null;
  readonly database: string | null;
  readonly application: string;
  readonly state: string;
  readonly seconds: number | null;
  readonly writes: boolean;
}

export interface EventTrigger {
  readonly name: string;
  readonly event: string;
  readonly function: string;
}

const LONG_SECONDS = 60;

export function decidePrepared(prepared: readonly PreparedTransaction[]): Finding[] {
  if (prepared.length === 0) return [passed('prepared-transactions', '', 'no transaction is prepared')];
  return prepared.map(({ gid, owner, database, seconds }) =>
    warning(
      'prepared-transactions',
      gid,
      `transaction '${gid}' of ${owner} in ${database} is prepared for ${formatDuration(seconds)}: the slot cannot begin before it ends`,
      `COMMIT PREPARED '${gid.replaceAll("'", "''")}'; or ROLLBACK PREPARED '${gid.replaceAll("'", "''")}';`,
    ),
  );
}

export function decideTransactions(transactions: readonly OpenTransaction[]): Finding[] {
  const long = transactions.filter(({ seconds }) => seconds !== null && seconds >= LONG_SECONDS);
  const hidden = transactions.filter(({ seconds }) => seconds === null);
  const findings = long.map(({ pid, role, database, application, state, seconds, writes }) =>
    warning(
      'long-transactions',
      `pid ${pid}`,
      `pid ${pid} of ${role ?? '?'} in ${database ?? '?'}${application === '' ? '' : ` (${application})`} is in a transaction for ${formatDuration(seconds!)}, ${state}${writes ? ', and has written' : ''}`,
      `let it end, or SELECT pg_terminate_backend(${pid});`,
    ),
  );
  if (hidden.length > 0) {
    const pids = hidden.map(({ pid }) => pid).join(', ');
    const reason = `the age of the transactions of other roles is hidden (pid ${pids})`;
    findings.push(
      unread(
        'long-transactions',
        `pid ${pids}`,
        reason,
        'GRANT pg_read_all_stats TO CURRENT_USER; (as a superuser, for the role that connects)',
      ),
    );
  }
  return findings.length > 0 ? findings : [passed('long-transactions', '', `no transaction is older than ${LONG_SECONDS} s`)];
}

export function decideEventTriggers(triggers: readonly EventTrigger[]): Finding[] {
  if (triggers.length === 0) return [passed('event-triggers', '', 'no event trigger is enabled')];
  return triggers.map(({ name, event, function: called }) =>
    warning('event-triggers', name, `event trigger ${name} calls ${called} on ${event}: it runs on the DDL of the migration`),
  );
}
