import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { createDatabase } from '../support/database.ts';
import { holds, until, untilPhase } from '../support/daemon.ts';
import { createEvents, EVENTS, endProcess, switchAndCompare } from '../support/events-table.ts';
import { buildPackage, startPartitioner } from '../support/partitioner.ts';

const ROWS = 300_000;

test.skipIf(process.platform !== 'linux')(
  'one transaction of 300,000 rows of 300 bytes is applied in less than 256 MB, and the walsender does not run out of patience',
  async () => {
    // A walsender that hears nothing for three seconds ends: a daemon that is busy must not be taken for one that is gone.
    await using database = await createDatabase({ settings: { wal_sender_timeout: '3s' } });
    const control = await database.client();
    await createEvents(control, 10_000);
    const daemon = startPartitioner(['start', ...EVENTS], { DATABASE_URL: database.url }, await buildPackage());
    try {
      await untilPhase(control, 'ready');
      const begun = Date.now();
      await control.query(
        `insert into app.events (at, kind, v) select timestamptz '2026-01-01 00:00:00+00' + n * interval '30 seconds', n % 10, repeat('v', 250) from generate_series(1, ${String(ROWS)}) n`,
      );
      await control.query(`update app.events set kind = kind + 1 where id % 3 = 0`);
      await until(
        control,
        'all is applied',
        () => holds(control, `(select inserted >= ${String(ROWS)} and updated > ${String(ROWS / 4)} from partitioner.position)`),
        120_000,
      );
      console.info(`applied ${String(Date.now() - begun)} ms after the first row`);
      const status = await readFile(`/proc/${String(daemon.pid)}/status`, 'utf8');
      const peakMB = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
      console.info(`at most ${peakMB.toFixed(0)} MB resident`);
      expect(peakMB).toBeLessThan(256);
      expect(daemon.output().stderr).not.toContain('starting again');
      await switchAndCompare(control);
      expect((await daemon.ended).code).toBe(0);
    } finally {
      await endProcess(daemon);
    }
  },
);
