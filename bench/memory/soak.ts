import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { endDaemon, peakMegabytes, startDaemon, waitForQuery, waitForStatus } from '../daemon.ts';
import { note, readFlags, report, round } from '../report.ts';
import { withServer } from '../server.ts';
import { createSource, fillSource, indexes, insertSpread } from '../table.ts';

// The daemon's memory through minutes of changes: inserts, updates and deletes in transactions of all sizes, and one of a tenth of them all.
const { values, out } = readFlags({ rows: 500_000, changes: 10_000_000, minutes: 10, connections: 2 });
const SOURCE = 'app.events';
const SAMPLE_MS = 5_000;
/** Of a transaction. */
const SIZES = [1, 10, 100, 1_000, 20_000];

await withServer(async (server) => {
  const client = await server.session('bench');
  await createSource(client, SOURCE, 'id');
  await fillSource([client], SOURCE, values.rows);
  for (const sql of indexes(SOURCE)) await client.query(sql);
  await client.query(`vacuum (analyze) ${SOURCE}`);
  const daemon = startDaemon(server.url('bench'), SOURCE);
  const ready = await waitForStatus(client, daemon, SOURCE, ({ phase }) => phase === 'ready');

  const begun = performance.now();
  const wanted = (): number => Math.min(1, (performance.now() - begun) / (values.minutes * 60_000)) * values.changes;
  let changes = 0;
  let next = values.rows + 1;
  const write = async (session: typeof client, number: number): Promise<void> => {
    for (let turn = 0; changes < values.changes; turn++) {
      if (changes > wanted()) {
        await sleep(20);
        continue;
      }
      // In the middle of it one that is larger than everything that is held in memory.
      const isLarge = number === 0 && changes > values.changes / 2 && !large;
      const size = isLarge ? Math.round(values.changes / 10) : SIZES[turn % SIZES.length]!;
      large ||= isLarge;
      const first = next;
      if (turn % 3 !== 1) next += size;
      if (turn % 3 !== 1) await session.query(insertSpread(SOURCE), [first, first + size - 1]);
      else if (turn % 2 === 0)
        await session.query(`update ${SOURCE} set amount = amount + 1 where id between $1 and $2`, [first - size, first - 1]);
      else await session.query(`delete from ${SOURCE} where id between $1 and $2`, [first - size, first - 1]);
      changes += size;
    }
  };
  let large = false;
  let isOver = false;
  const samples: { readonly second: number; readonly residentMb: number; readonly lagMb: number }[] = [];
  const sampling = (async () => {
    const watcher = await server.session('bench');
    while (!isOver) {
      const { rows } = await watcher.query<{ lag: number }>(
        `select pg_wal_lsn_diff(pg_current_wal_lsn(), lsn)::float8 / 1048576 as lag from partitioner.position`,
      );
      samples.push({
        second: Math.round((performance.now() - begun) / 1000),
        residentMb: await residentMegabytes(daemon.pid),
        lagMb: Math.round(rows[0]?.lag ?? 0),
      });
      note(JSON.stringify({ ...samples.at(-1), changes }));
      await sleep(SAMPLE_MS);
    }
  })();
  const sessions = await Promise.all(Array.from({ length: values.connections }, () => server.session('bench')));
  await Promise.all(sessions.map(write));
  const wroteSeconds = round((performance.now() - begun) / 1000);
  await client.query(insertSpread(SOURCE), [-1, -1]);
  await waitForQuery(client, `select exists (select from ${ready.target} where id = -1) as reached`, [], daemon);
  isOver = true;
  await sampling;
  const peakMb = await peakMegabytes(daemon.pid);
  const { rows } = await client.query<{ equal: boolean }>(
    `select (select count(*) from ${SOURCE}) = (select count(*) from ${ready.target}) as equal`,
  );
  await endDaemon(daemon);
  const third = Math.ceil(samples.length / 3);
  const most = (from: number, to: number): number => Math.max(...samples.slice(from, to).map(({ residentMb }) => residentMb));
  await report(
    'memory-soak',
    server.version,
    {
      ...values,
      wroteSeconds,
      appliedSeconds: round((performance.now() - begun) / 1000),
      changesWritten: changes,
      residentMb: {
        start: samples[0]?.residentMb,
        firstThird: most(0, third),
        secondThird: most(third, 2 * third),
        lastThird: most(2 * third, Infinity),
        end: samples.at(-1)?.residentMb,
        peak: peakMb,
      },
      lagMb: Math.max(...samples.map(({ lagMb }) => lagMb)),
      equalCounts: rows[0]!.equal,
      samples,
    },
    out,
  );
});

async function residentMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${String(pid)}/status`, 'utf8');
  return Math.round(Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024);
}
