import { runCommandLine } from '../../src/demo/command-line.ts';
import { endDaemon, startDaemon, waitForStatus } from '../daemon.ts';
import { note, readFlags, report, round, seconds } from '../report.ts';
import { withServer } from '../server.ts';
import { createSource, fillSource, indexes } from '../table.ts';

// A full pass of the verification, both sides hashed row by row, against a plain sequential scan of both sides.
const { values, out } = readFlags({ rows: 2_000_000, jobs: 2, repeat: 3 });
const SOURCE = 'app.events';

await withServer(async (server) => {
  const [client, second] = [await server.session('bench'), await server.session('bench')];
  await createSource(client, SOURCE, 'id');
  await fillSource([client, second], SOURCE, values.rows);
  for (const sql of indexes(SOURCE)) await client.query(sql);
  await client.query(`vacuum (analyze) ${SOURCE}`);
  const daemon = startDaemon(server.url('bench'), SOURCE, ['--jobs', String(values.jobs)]);
  const ready = await waitForStatus(client, daemon, SOURCE, ({ phase }) => phase === 'ready');
  const { rows: sizes } = await client.query<{ bytes: string }>(
    `select (pg_table_size($1::regclass) + (select sum(pg_table_size(inhrelid)) from pg_inherits where inhparent = $2::regclass))::text as bytes`,
    [SOURCE, ready.target],
  );
  const bytes = Number(sizes[0]!.bytes);
  await client.query('set max_parallel_workers_per_gather = 0');
  const runs = [];
  for (let run = 0; run < values.repeat; run++) {
    const scan = await seconds(async () => {
      for (const table of [SOURCE, ready.target]) await client.query(`select count(*) from (select * from ${table} offset 0) s`);
    });
    note('verify');
    const verified = runCommandLine(server.url('bench'), ['verify', SOURCE, '--json']);
    const code = await verified.exited;
    if (code !== 0) throw new Error(`verify ended with ${code}: ${verified.stdout()}${verified.stderr()}`);
    const { rows } = await client.query<{ took: number }>(
      `select extract(epoch from max(r.checked_at) - max(v.started_at))::float8 as took
       from partitioner.verified r join partitioner.verification v using (migration) where migration = $1`,
      [ready.migration],
    );
    const took = rows[0]!.took;
    runs.push({
      scanSeconds: round(scan),
      scanMbPerSecond: round(bytes / scan / 1e6),
      verifySeconds: round(took),
      verifyMbPerSecond: round(bytes / took / 1e6),
      ratio: round(took / scan, 2),
    });
    note(JSON.stringify(runs.at(-1)));
  }
  await endDaemon(daemon);
  await report('verify', server.version, { ...values, bytesOfBothSides: bytes, runs }, out);
});
