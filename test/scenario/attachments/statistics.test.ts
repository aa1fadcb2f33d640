import { expect, test } from 'vitest';
import { createPlainEvents, STATISTICS } from '../../support/attached-table.ts';
import { createDatabase } from '../../support/database.ts';
import { travel, type Application, type Moment } from '../../support/journey.ts';

async function estimate({ client }: Application, where: string): Promise<{ estimated: number; rows: number }> {
  const { rows: plan } = await client.query<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    `explain (format json) select from app.events where ${where}`,
  );
  const { rows: counted } = await client.query<{ rows: number }>(`select count(*)::int as rows from app.events where ${where}`);
  return { estimated: plan[0]!['QUERY PLAN'][0].Plan['Plan Rows'], rows: counted[0]!.rows };
}

/** Without the statistics each of these is wrong by a factor of five or more. */
const CORRELATED = ['tenant = 3 and kind = 3', `lower(v) = 'same' and doc ->> 'n' = 'same'`, 'kind % 2 = 1'];

async function definitions({ run }: Application): Promise<unknown[]> {
  return run(`
    select n.nspname, stxname, pg_get_statisticsobjdef(s.oid) as definition, nullif(stxstattarget, -1) as target, obj_description(s.oid, 'pg_statistic_ext') as comment, stxowner::regrole::text as owner
    from pg_statistic_ext s join pg_namespace n on n.oid = stxnamespace where stxrelid = 'app.events'::regclass order by stxname`);
}

test('extended statistics have the same names and the planner goes on using them, without a further ANALYZE', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query(`update app.events set v = 'same', doc = '{"n": "same"}' where id % 5 = 1`);
  for (const where of CORRELATED) {
    await client.query('analyze app.events');
    const { estimated, rows } = await estimate({ client } as Application, where);
    expect(Math.max(estimated / rows, rows / estimated), `without: ${where}`).toBeGreaterThan(2);
  }
  await client.query(STATISTICS);
  let before: unknown[] = [];
  await travel(database, {
    look: async (app: Application, moment: Moment) => {
      if (moment === 'before') before = await definitions(app);
      expect(before).toHaveLength(3);
      expect(await definitions(app)).toEqual(before);
      for (const where of CORRELATED) {
        const { estimated, rows } = await estimate(app, where);
        expect(Math.max(estimated / rows, rows / estimated), `${where}: estimated ${String(estimated)}, ${String(rows)} rows`).toBeLessThan(
          1.5,
        );
      }
    },
  });
});
