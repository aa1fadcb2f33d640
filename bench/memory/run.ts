import { endDaemon, peakMegabytes, startDaemon, waitForQuery, waitForStatus } from '../daemon.ts';
import { note, readFlags, report, round, seconds } from '../report.ts';
import { withServer } from '../server.ts';
import { createSource, fillSource, indexes, insertSpread } from '../table.ts';

// The daemon's most resident memory: through the copy of the whole table, and through one transaction that inserts millions of rows.
const { values, out } = readFlags({ rows: 5_000_000, transaction: 2_000_000, jobs: 2 });
const SOURCE = 'app.events';

await withServer(async (server) => {
  const [client, second] = [await server.session('bench'), await server.session('bench')];
  await createSource(client, SOURCE, 'id');
  await fillSource([client, second], SOURCE, values.rows);
  for (const sql of indexes(SOURCE)) await client.query(sql);
  await client.query(`vacuum (analyze) ${SOURCE}`);
  await client.query('checkpoint');

  const daemon = startDaemon(server.url('bench'), SOURCE, ['--jobs', String(values.jobs)]);
  note('copying');
  const ready = await waitForStatus(client, daemon, SOURCE, ({ phase }) => phase === 'ready');
  const copyMb = await peakMegabytes(daemon.pid);
  note(`one transaction of ${values.transaction} rows`);
  await client.query(insertSpread(SOURCE), [values.rows + 1, values.rows + values.transaction]);
  await client.query(insertSpread(SOURCE), [-1, -1]);
  const took = await seconds(() =>
    waitForQuery(client, `select exists (select from ${ready.target} where id = -1) as reached`, [], daemon),
  );
  const transactionMb = await peakMegabytes(daemon.pid);
  const { rows } = await client.query<{ equal: boolean }>(
    `select (select count(*) from ${SOURCE}) = (select count(*) from ${ready.target}) as equal`,
  );
  await endDaemon(daemon);
  await report(
    'memory',
    server.version,
    {
      ...values,
      reachMb: 256,
      peakMb: { copy: copyMb, withTransaction: transactionMb },
      transactionSeconds: round(took),
      equalCounts: rows[0]!.equal,
    },
    out,
  );
});
