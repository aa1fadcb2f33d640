import { test } from 'vitest';
import { createDatabase } from '../../support/database.ts';
import { SOURCE_CASES } from '../../support/ddl-cases.ts';
import { meanwhile, type Moment } from '../../support/ddl-journey.ts';

/**
 * DDL on the source while it is migrated. CI runs the short ones, each at one moment; by hand TEST_DDL=each runs every one at one moment, TEST_DDL=all
 * at every moment with both kinds of units.
 */
const HOW = process.env['TEST_DDL'] ?? 'short';
const MOMENTS: readonly Moment[] = ['backfill', 'ready', 'between'];
const UNITS = ['leaf', 'table'] as const;

const cases = SOURCE_CASES.filter(({ short }) => HOW !== 'short' || short);
const runs =
  HOW === 'all'
    ? cases.flatMap((ddl) => MOMENTS.flatMap((moment) => UNITS.map((unit) => ({ ddl, moment, unit }))))
    : [...cases.filter(({ at }) => !at), ...cases.filter(({ at }) => at)].map((ddl, i) => ({
        ddl,
        moment: MOMENTS[i % 3]!,
        unit: UNITS[i % 2]!,
        ...ddl.at,
      }));

test.each(runs)('$ddl.name: $moment, unit $unit: $ddl.outcome', async ({ ddl, moment, unit }) => {
  await using database = await createDatabase();
  await meanwhile(database, ddl, moment, unit);
});
