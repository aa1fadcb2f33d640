import { identifierOf, tokenizeSql } from '../../domain/sql-tokens.ts';
import { passed, warning, type Finding } from './finding.ts';
import type { ServerFacts } from './server.ts';

/** application_name of the connection that reads the changes. */
export const WALSENDER_NAME = 'partitioner walsender';

const SETTING = 'synchronous_standby_names';

/**
 * PostgreSQL takes any WAL sender whose application_name is in the list, or any at all for `*`, for a synchronous standby:
 * those of logical replication too. Names are compared without regard to case (syncrep.c: SyncRepGetStandbyPriority).
 */
export function decideSynchronous({ settings }: Pick<ServerFacts, 'settings'>): Finding {
  const id = 'synchronous-standbys';
  const text = (settings[SETTING] ?? '').trim();
  if (text === '') return passed(id, SETTING, 'no standby is synchronous');
  const { quorum, count, names } = parseStandbyNames(text);
  const matching = names.find((name) => name === '*' || name.toLowerCase() === WALSENDER_NAME);
  if (matching === undefined) return passed(id, SETTING, `the change stream is none of the synchronous standbys (${text})`);
  const others = names.filter((name) => name !== matching);
  const effect = quorum
    ? `it is one of those of which any ${count} confirm${count === 1 ? 's' : ''} a commit: the application may be told that a commit is safe that no standby has`
    : `it takes the place of a standby that is away${others.length === 0 ? ' or that came later' : ''}: each commit of the application then waits until the daemon has applied it, and is on no standby`;
  return warning(
    id,
    SETTING,
    `${SETTING} = '${text}' counts the change stream (application_name '${WALSENDER_NAME}') as a synchronous standby: ${effect}`,
    `name the standbys: ALTER SYSTEM SET ${SETTING} = '${quorum ? 'ANY' : 'FIRST'} ${count} (${others.length === 0 ? 'standby1, standby2' : others.join(', ')})'; SELECT pg_reload_conf();`,
  );
}

/** `s1, s2`, `2 (s1, s2)`, `FIRST 1 (*)`, `ANY 2 (s1, "S 2", s3)`. */
export function parseStandbyNames(text: string): { readonly quorum: boolean; readonly count: number; readonly names: readonly string[] } {
  const tokens = tokenizeSql(text).filter(({ kind }) => kind !== 'space');
  const open = tokens.findIndex((token) => token.text === '(');
  const method = tokens[0]?.text.toLowerCase();
  const count = open === -1 ? 1 : Number(tokens[open - 1]?.text ?? '1');
  const list = open === -1 ? tokens : tokens.slice(open + 1, tokens.at(-1)?.text === ')' ? -1 : undefined);
  const names: string[] = [];
  let name = '';
  // Names that begin with a digit, or hold other characters that SQL would cut at, are one name here.
  for (const token of [...list, { kind: 'symbol', text: ',' } as const]) {
    if (token.text === ',') {
      if (name !== '') names.push(name);
      name = '';
    } else {
      name += token.kind === 'quoted' ? (identifierOf(token) ?? token.text) : token.text;
    }
  }
  return { quorum: open > 0 && method === 'any', count: Number.isInteger(count) ? count : 1, names };
}
