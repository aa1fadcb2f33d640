import { abortMigration, endDaemon, peakMegabytes, startDaemon, waitForStatus } from '../daemon.ts';
import { note, readFlags, report, round, seconds } from '../report.ts';
import { withServer } from '../server.ts';
import { createPartitioned, createSource, fillSource, indexes } from '../table.ts';

// From an empty target to everything loaded and indexed, without load: the tool against INSERT INTO … SELECT by one session into
// the same leaves with the indexes built after it. VACUUM and ANALYZE belong to both.
const { values, out } = readFlags({ rows: 5_000_000, jobs: 2, repeat: 1 });
const SOURCE = 'app.events';
const PLAIN = 'app.plain';

await withServer(async (server) => {
  const [client, second] = [await server.session('bench'), await server.session('bench')];
  await createSource(client, SOURCE, 'id');
  await fillSource([client, second], SOURCE, values.rows);
  for (const sql of indexes(SOURCE)) await client.query(sql);
  await client.query(`vacuum (analyze) ${SOURCE}`);
  const { rows: sizes } = await client.query<{ bytes: string }>(`select pg_table_size('${SOURCE}') as bytes`);

  const runs = [];
  for (let run = 0; run < values.repeat; run++) {
    await client.query('checkpoint');
    note('INSERT INTO … SELECT');
    await createPartitioned(client, PLAIN);
    const copySeconds = await seconds(() => client.query(`insert into ${PLAIN} select * from ${SOURCE}`));
    const indexSeconds = await seconds(async () => {
      await client.query(`alter table ${PLAIN} add primary key (id, created_at)`);
      for (const sql of indexes(PLAIN)) await client.query(sql);
    });
    const vacuumSeconds = await seconds(() => client.query(`vacuum (analyze) ${PLAIN}`));
    await client.query(`drop table ${PLAIN}`);
    await client.query('checkpoint');

    note('partitioner start');
    const begun = performance.now();
    const daemon = startDaemon(server.url('bench'), SOURCE, ['--jobs', String(values.jobs)]);
    const status = await waitForStatus(client, daemon, SOURCE, ({ units }) => units.total > 0 && units.live === units.total);
    const fromLaunch = (performance.now() - begun) / 1000;
    const { rows: events } = await client.query<{ loading: number }>(
      `select extract(epoch from max(at) filter (where event like 'unit %') - min(at) filter (where event = 'prepared'))::float8 as loading
       from partitioner.history where migration = $1`,
      [status.migration],
    );
    const peakMb = await peakMegabytes(daemon.pid);
    await endDaemon(daemon);
    await abortMigration(server.url('bench'), SOURCE);

    const plain = copySeconds + indexSeconds + vacuumSeconds;
    const ours = events[0]!.loading;
    runs.push({
      plain: {
        seconds: round(plain),
        copySeconds: round(copySeconds),
        indexSeconds: round(indexSeconds),
        vacuumSeconds: round(vacuumSeconds),
      },
      ours: { seconds: round(ours), fromLaunchSeconds: round(fromLaunch), peakMb, rowsCopied: status.rows.copied },
      ratio: round(ours / plain, 3),
      ratioFromLaunch: round(fromLaunch / plain, 3),
    });
    note(JSON.stringify(runs.at(-1)));
  }
  await report(
    'backfill',
    server.version,
    { rows: values.rows, bytesPerRow: round(Number(sizes[0]!.bytes) / values.rows, 0), jobs: values.jobs, reach: 1, aim: 0.85, runs },
    out,
  );
});
