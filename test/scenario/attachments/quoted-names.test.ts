import { expect, test } from 'vitest';
import pino from 'pino';
import { finishMigration } from '../../../src/actions/finish.ts';
import type { Client } from '../../../src/pg/client.ts';
import {
  createPlainEvents,
  foreignKeysIn,
  foreignKeysOut,
  materializedViews,
  publications,
  routines,
  rowSecurity,
  STATISTICS,
  views,
} from '../../support/attached-table.ts';
import { differences, expectAllowed, splitLeaves } from '../../support/catalog-differences.ts';
import { catalogFacts } from '../../support/catalog-facts.ts';
import { checkAs } from '../../support/check.ts';
import { createDatabase } from '../../support/database.ts';
import { command, startDaemon, untilPhase } from '../../support/daemon.ts';
import { partitioned, widened } from '../../support/partitioning-differences.ts';
import { createRole } from '../../support/roles.ts';
import { DEFAULT_MAJOR } from '../../support/server.ts';

/** Of one kind of object: the statements that give each of them a name which has to be quoted. */
const RENAMES: readonly string[] = [
  `select format('alter trigger %I on %s rename to %I', tgname, tgrelid::regclass, $1 || tgname) from pg_trigger where not tgisinternal`,
  `select format('alter policy %I on %s rename to %I', polname, polrelid::regclass, $1 || polname) from pg_policy`,
  `select format('alter rule %I on %s rename to %I', rulename, ev_class::regclass, $1 || rulename) from pg_rewrite where oid >= 16384 and rulename <> '_RETURN'`,
  `select format('alter table %s rename constraint %I to %I', conrelid::regclass, conname, $1 || conname) from pg_constraint where connamespace = 'app'::regnamespace and conrelid <> 0 and contype <> 'n'`,
  `select format('alter statistics %s.%I rename to %I', stxnamespace::regnamespace, stxname, $1 || stxname) from pg_statistic_ext`,
  `select format('alter publication %I rename to %I', pubname, $1 || pubname) from pg_publication`,
  `select format('alter table %s rename column %I to %I', attrelid::regclass, attname, $1 || attname)
   from pg_attribute join pg_class c on c.oid = attrelid where relnamespace = 'app'::regnamespace and relkind in ('r', 'v', 'm') and attnum > 0 and not attisdropped`,
  `select format('alter index %s rename to %I', c.oid::regclass, $1 || relname) from pg_class c
   where relnamespace = 'app'::regnamespace and relkind = 'i' and not exists (select from pg_constraint where conindid = c.oid)`,
  `select format('alter routine %s rename to %I', oid::regprocedure, $1 || proname) from pg_proc where pronamespace = 'app'::regnamespace`,
  `select format('alter %s %s rename to %I', case relkind when 'r' then 'table' when 'v' then 'view' when 'm' then 'materialized view' else 'sequence' end, oid::regclass, $1 || relname)
   from pg_class where relnamespace = 'app'::regnamespace and relkind in ('r', 'v', 'm', 'S')`,
  `select format('alter schema app rename to %I', $1 || 'app')`,
];

const PREFIX = `Ü "it's" \\ `;

async function rename(client: Client): Promise<void> {
  for (const query of RENAMES) {
    const { rows } = await client.query<{ format: string }>(query, [PREFIX]);
    for (const { format } of rows) await client.query(format);
  }
}

test('names that have to be quoted, of everything', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  const reader = await createRole(database, 'nologin', []);
  await createPlainEvents(control);
  await control.query(
    [
      rowSecurity(reader.name),
      foreignKeysOut(DEFAULT_MAJOR).replace(/,\s*add constraint events_loose_fkey .*not valid/, ''),
      foreignKeysIn('id'),
      views(DEFAULT_MAJOR, reader.name),
      materializedViews(reader.name),
      routines(reader.name),
      STATISTICS,
      publications(DEFAULT_MAJOR),
      `create function app.noop() returns trigger language plpgsql as $$ begin return new; end $$;
       create trigger "A" after update of v on app.events for each row when (old.kind is distinct from new.kind) execute function app.noop('a\\b''c');
       create constraint trigger b after insert on app.events from app.tenant deferrable for each row execute function app.noop();
       alter table app.events enable always trigger "A";
       comment on trigger "A" on app.events is 'a';
       create unique index events_v_key on app.events (v, (kind + 1)) where kind > 0;`,
    ].join('\n'),
  );
  await rename(control);
  const q = (name: string): string => `${PREFIX}${name}`;
  const sql = (name: string): string => `"${q(name).replaceAll('"', '""')}"`;
  const table = `${sql('app')}.${sql('events')}`;
  const plan = {
    range: q('at'),
    decisions: {
      [`unique:${q('events_v_key')}`]: 'widen',
      [`foreign-key:${q('app')}.${q('note_of')}.${q('note_event_fkey')}`]: `widen:${q('event_at')}`,
      [`foreign-key:${q('app')}.${q('mark')}.${q('mark_event_fkey')}`]: `widen:${q('event_at')}`,
    },
  };
  const blockers = (await checkAs(database.settings, table, plan)).filter(({ severity }) => severity === 'blocker');
  expect(blockers).toEqual([]);
  const before = await catalogFacts(control, [q('app')]);
  await using daemon = startDaemon(database.settings, table, plan);
  const { id } = await untilPhase(control, 'ready');
  await command(control, id, 'cutover', { lockTimeoutMs: 1_000, maxLockHoldMs: 10_000, attempts: 60 });
  await daemon.ended;
  expect((await control.query('select object, failure from partitioner.after_step where done_at is null')).rows).toEqual([]);
  await finishMigration(database.settings, id, { dropRetired: true }, pino({ level: 'silent' }));
  const { rest, leaves } = splitLeaves(await catalogFacts(control, [q('app')]), table);
  expect(leaves.size).toBeGreaterThan(2);
  expectAllowed('the catalog', differences(before, rest).map(plain), [
    ...partitioned('app.events'),
    ...widened('app.events', 'events_pkey', 'at'),
    {
      pattern: /^~ index app.events_v_key.definition: .*\(v, \(\(kind \+ 1\)\)\) .* -> .*\(v, \(\(kind \+ 1\)\), at\) /,
      reason: 'widened, as decided',
    },
    { pattern: /^\+ dependency: index app.events_v_key -> column at of table app.events \(a\)$/, reason: 'widened, as decided' },
    {
      pattern:
        /^~ constraint app.(note_of|mark).(note|mark)_event_fkey.definition: .* -> "FOREIGN KEY \(event, event_at\) REFERENCES app.events\(id, at\) /,
      reason: 'widened, as decided',
    },
    { pattern: /^\+ dependency: constraint (note|mark)_event_fkey .* -> column (event_)?at of table/, reason: 'widened, as decided' },
  ]);
});

/** Names without what was put before them, and the quotes which that needs. */
function plain(line: string): string {
  return line.replaceAll(/\\*"?Ü [\\"]+it's[\\"]+ \\+ (\w+)(\\*")?/g, '$1');
}
