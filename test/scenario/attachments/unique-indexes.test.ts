import { expect, test } from 'vitest';
import { createPlainEvents, UNIQUE_INDEXES } from '../../support/attached-table.ts';
import { checkAs } from '../../support/check.ts';
import { createDatabase } from '../../support/database.ts';
import { isAfter, travel, type Application, type Moment } from '../../support/journey.ts';

const DUPLICATE = '23505';
const NO_ARBITER = '42P10';

/** Row 40 lies in January; each statement inserts another row with its value. */
const COLUMNS = {
  events_number_key: ['number', '40'],
  events_slug_key: ['slug', `'SLUG 40'`],
  events_tag_key: ['tag', `'tag 40'`],
} as const;

type Unique = keyof typeof COLUMNS;

/** A second row with the value of row 40: at the same time, in the same leaf, in another leaf. */
async function duplicates({ run, refused }: Application, index: Unique): Promise<readonly (string | null)[]> {
  const [column, value] = COLUMNS[index];
  const outcomes: (string | null)[] = [];
  for (const at of ['(select at from app.events where id = 40)', `'2026-01-25'`, `'2026-03-25'`]) {
    outcomes.push(await refused(`insert into app.events (at, ${column}, stamps) values (${at}, ${value}, 'duplicate')`));
    await run(`delete from app.events where stamps = 'duplicate'`);
  }
  return outcomes;
}

const REFUSED = [DUPLICATE, DUPLICATE, DUPLICATE];
const EXPECTED = { widen: [DUPLICATE, null, null], 'per-leaf': [DUPLICATE, DUPLICATE, null], drop: [null, null, null] } as const;

async function isThere({ run }: Application, index: Unique): Promise<boolean> {
  return (
    (
      await run(`select from pg_index i join pg_class c on c.oid = i.indexrelid where indrelid = 'app.events'::regclass and relname = $1`, [
        index,
      ])
    ).length > 0
  );
}

const TURNS: readonly Readonly<Record<Unique, keyof typeof EXPECTED>>[] = [
  { events_number_key: 'widen', events_slug_key: 'per-leaf', events_tag_key: 'drop' },
  { events_number_key: 'per-leaf', events_slug_key: 'drop', events_tag_key: 'widen' },
  { events_number_key: 'drop', events_slug_key: 'widen', events_tag_key: 'per-leaf' },
];

test.each(TURNS)('unique keys without the partition key: %o', async (decided) => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  for (const statement of UNIQUE_INDEXES.split(';\n')) await client.query(statement);
  const entries = Object.entries(decided) as [Unique, keyof typeof EXPECTED][];

  const blockers = (await checkAs(database.settings, 'app.events')).filter(({ severity }) => severity === 'blocker');
  for (const [index] of entries) {
    const finding = blockers.find(({ object, message }) => object.includes(index) || message.includes(index));
    expect(finding, index).toBeDefined();
    for (const choice of Object.keys(EXPECTED)) expect(finding!.fix).toContain(`unique:${index}=${choice}`);
  }
  const decisions = Object.fromEntries(entries.map(([index, choice]) => [`unique:${index}`, choice]));
  expect((await checkAs(database.settings, 'app.events', { decisions })).filter(({ severity }) => severity === 'blocker')).toEqual([]);

  await travel(database, {
    plan: { decisions },
    look: async (app: Application, moment: Moment) => {
      for (const [index, choice] of entries) {
        expect(await duplicates(app, index), `${index}, ${choice}`).toEqual(isAfter(moment) ? EXPECTED[choice] : REFUSED);
        if (isAfter(moment) && choice === 'drop') expect(await isThere(app, index)).toBe(false);
        if (!isAfter(moment) || choice === 'widen') expect(await isThere(app, index), index).toBe(true);
      }
      // An upsert names what is unique: before the switch the column alone, after it the column and the key.
      const upsert = (target: string): string =>
        `insert into app.events (at, number) select at, 40 from app.events where id = 40 on conflict (${target}) do update set stamps = 'upserted' returning id`;
      expect(await app.refused(upsert('number'))).toBe(isAfter(moment) ? NO_ARBITER : null);
      if (isAfter(moment) && decided.events_number_key === 'widen') {
        expect(await app.run(upsert('number, at'))).toEqual([{ id: '40' }]);
        expect(await app.run(upsert('number, at').replace('(number, at)', 'on constraint events_number_key'))).toEqual([{ id: '40' }]);
      }
    },
    retired: async (app) => {
      const rows = await app.run<{ leaf: string; uniques: number }>(
        `select inhrelid::regclass::text as leaf, (select count(*)::int from pg_index where indrelid = inhrelid and indisunique and not indisprimary) as uniques
         from pg_inherits where inhparent = 'app.events'::regclass`,
      );
      for (const { leaf, uniques } of rows) expect(uniques, leaf).toBe(2);
    },
  });
});
