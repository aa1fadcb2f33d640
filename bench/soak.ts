import { runCommandLine } from '../src/demo/command-line.ts';
import { note, readFlags, report, round } from './report.ts';
import { withServer } from './server.ts';
import { soak } from './soak/rounds.ts';

// A hundred cutovers of one table under eight writing connections: no statement may fail, nothing may differ from what the writers know.
const { values, out } = readFlags({ cutovers: 100, rate: 300, connections: 8, rows: 5_000 });

await withServer(async (server) => {
  const admin = await server.session('postgres');
  for (const name of ['soak', 'soak_truth']) await admin.query(`create database ${name}`);
  const rounds = await soak({
    ...values,
    settings: server.settings('soak'),
    client: await server.session('soak'),
    baseline: await server.session('soak_truth'),
    start: (args) => {
      const child = runCommandLine(server.url('soak'), args);
      return {
        ended: child.exited.then((code) => ({ code, stdout: child.stdout(), stderr: child.stderr() })),
        kill: () => {
          child.kill();
        },
      };
    },
    onRound: (done) => {
      note(JSON.stringify(done));
    },
  });
  const longest = rounds.map(({ longestWriteMs }) => longestWriteMs).toSorted((a, b) => a - b);
  const sum = (of: (of: (typeof rounds)[number]) => number): number => rounds.reduce((total, each) => total + of(each), 0);
  const most = (of: (of: (typeof rounds)[number]) => number): number => round(Math.max(...rounds.map(of)));
  await report(
    'soak',
    server.version,
    {
      ...values,
      reach: { failed: 0, differences: 0 },
      writes: sum(({ writes }) => writes),
      failed: sum(({ failed }) => failed),
      differences: sum(({ differences }) => differences),
      longestWriteMs: { most: longest.at(-1), median: longest[longest.length >> 1] },
      lockHeldMs: most(({ lockHeldMs }) => lockHeldMs),
      attempts: { most: most(({ attempts }) => attempts), sum: sum(({ attempts }) => attempts) },
      rounds,
    },
    out,
  );
  process.exitCode = sum(({ failed, differences }) => failed + differences) > 0 ? 1 : 0;
});
