import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { partitioner, startPartitioner, type Run } from '../support/partitioner.ts';

/** No server listens there. */
const ENVIRONMENT = { PGHOST: '127.0.0.1', PGPORT: '1', PGCONNECT_TIMEOUT: '2' };
const run = (args: readonly string[]): Promise<Run> => partitioner(args, ENVIRONMENT);

let folder: string;
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'partitioner-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('bad input gets one clear error', () => {
  it.each([
    ['an unknown verb', 'strat app.events', 'unknown verb "strat"', 'did you mean "start"?'],
    ['a verb of a later version', 'throttle app.events', 'unknown verb "throttle"', 'verbs: check, plan,'],
    ['no verb', '--log-level warn', 'missing verb', 'verbs: check'],
    ['help of an unknown verb', 'help chekc', 'unknown verb "chekc"', 'did you mean "check"?'],
    ['an unknown flag', 'check app.events --evry month', "unknown option '--evry'", 'did you mean --every?'],
    ['a flag of another verb', 'check app.events --jobs 2', "unknown option '--jobs'", ''],
    ['a flag without its value', 'check app.events --range', "option '--range <COLUMN>' argument missing", ''],
    ['two tables', 'check a b --range c', "too many arguments for 'check'. Expected 1 argument but got 2.", ''],
    ['no table', 'check --range c', 'missing argument TABLE', 'name it (app.events)'],
    ['no table to cut over', 'cutover', 'missing argument TABLE', 'name it (app.events)'],
    [
      'no column',
      'check app.events',
      'missing --range: the column that app.events is to be partitioned by',
      'partitioner check app.events --range created_at --every month',
    ],
    ['a bad duration', 'cutover a --lock-timeout 5', '--lock-timeout: "5" is no duration', ''],
    ['a duration of nothing', 'cutover a --max-lock-hold 0s', '--max-lock-hold: "0s" is less than 1ms', ''],
    ['a bad size', 'start a --range c --chunk-size 64', '--chunk-size: "64" is no size', ''],
    ['a bad number', 'start a --range c --jobs 0', '--jobs: "0" is no whole number from 1 to 64', ''],
    ['a bad choice', 'plan a --range c --unit block', '--unit: "block" is none of leaf, table', ''],
    ['a bad address', 'start a --range c --http 9187', '--http: "9187" is no HOST:PORT', ''],
    ['a bad log level', 'status --log-level loud', '--log-level: "loud" is none of debug, info, warn, error, silent', ''],
    ['LIST', 'check a --list country', 'partitioning by LIST is not there yet', ''],
    ['HASH', 'start a --hash id --modulus 8', 'partitioning by HASH is not there yet', ''],
    ['a DEFAULT partition', 'plan a --range c --default-partition', 'a DEFAULT partition is not there yet', ''],
    [
      'a configuration file that is not there',
      'status --config /nonexistent.yaml',
      'the configuration file /nonexistent.yaml does not exist',
      '',
    ],
    ['a URL that is none', 'status --database-url nonsense', '', ''],
    ['a URL of another database', 'status --database-url mysql://u:secret@h/d', '', ''],
  ])('%s: %s', async (_case, args, message, hint) => {
    const [text, json] = await Promise.all([run(args.split(' ')), run([...args.split(' '), '--json'])]);
    expect(text).toMatchObject({ code: 1, stdout: '' });
    expect(text.stderr).toContain(`error: ${message}`);
    expect(text.stderr).toContain(`hint: ${hint}`.trim());
    expect(text.stderr).not.toContain('secret');
    expect(text.stderr).not.toMatch(/\n\s+at /);
    expect(json).toMatchObject({ code: 1, stderr: '' });
    const { error } = JSON.parse(json.stdout) as { error: { code: string; message: string } };
    expect(error.code).toBe('USAGE');
    expect(error.message).toContain(message);
    expect(json.stdout).not.toContain('secret');
  });

  it('a typo in the configuration file is named with key, file, line and the key that was meant', async () => {
    const config = file('typo.yaml', 'jobs: 2\ntables:\n  - { table: app.events, range: created_at, evry: month }\n');
    expect(await run(['check', '--config', config])).toEqual({
      code: 1,
      stdout: '',
      stderr: `error: unknown key "evry" in ${config} line 3\nhint: did you mean "every"?\n`,
    });
  });

  it('start takes one table', async () => {
    const config = file('two.yaml', 'tables:\n  - { table: a, range: x }\n  - { table: b, range: y }\n');
    const ended = await run(['start', '--config', config]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('error: start takes one table, the configuration file lists 2: a, b');
  });

  it('a server that does not answer is exit 4', async () => {
    const ended = await run(['status', '--json', '--database-url', 'postgres://u:secret@127.0.0.1:1/d']);
    expect(ended.code).toBe(4);
    expect((JSON.parse(ended.stdout) as { error: { code: string } }).error.code).toBe('POSTGRES');
    expect(ended.stdout + ended.stderr).not.toContain('secret');
  });
});

describe('a password on the command line', () => {
  it.runIf(process.platform === 'linux')('does not stay in the process title', async () => {
    // The address is of a network that answers nobody, so that the process lives while we look.
    const running = startPartitioner(['status', '--database-url', 'postgres://u:secret@192.0.2.1/d'], ENVIRONMENT);
    try {
      await expect
        .poll(() => readFileSync(`/proc/${running.pid}/cmdline`, 'utf8').replaceAll('\0', ''), { timeout: 10_000 })
        .toBe('partitioner status');
    } finally {
      running.signal('SIGKILL');
      await running.ended;
    }
  });
});

describe('help', () => {
  it('is data, and tells a newcomer the steps and the exit codes', async () => {
    const ended = await run(['--help']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    for (const word of ['Five steps:', 'Examples:', 'Exit codes:', 'partitioner cutover']) expect(ended.stdout).toContain(word);
    for (const later of ['throttle', 'maintain', 'archive', '--hash']) expect(ended.stdout).not.toContain(later);
  });

  it('is what no arguments lead to', async () => {
    const ended = await run([]);
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toContain('Five steps:');
  });
});
