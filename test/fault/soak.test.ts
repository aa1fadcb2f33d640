import { expect, test } from 'vitest';
import { soak } from '../../bench/soak/rounds.ts';
import { createDatabase } from '../support/database.ts';
import { startPartitioner } from '../support/partitioner.ts';

test('ten cutovers of one table under eight writing connections: no statement fails, and nothing differs from what the writers know', async () => {
  await using database = await createDatabase();
  await using truth = await createDatabase();
  const rounds = await soak({
    settings: database.settings,
    client: await database.client(),
    baseline: await truth.client(),
    start: (args) => {
      const child = startPartitioner(args, { DATABASE_URL: database.url });
      return { ended: child.ended, kill: () => child.signal('SIGKILL') };
    },
    cutovers: 10,
    rows: 3_000,
    rate: 200,
    connections: 8,
  });
  console.info(`longest write ${String(Math.max(...rounds.map(({ longestWriteMs }) => longestWriteMs)))} ms`);
  expect(rounds.filter(({ failed, differences, writes }) => failed > 0 || differences > 0 || writes === 0)).toEqual([]);
  expect(rounds).toHaveLength(10);
});
