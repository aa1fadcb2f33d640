import { describe, expect, it } from 'vitest';
import { loadConfig, parseConfig, settingsFor } from '../../src/cli/config.ts';
import { MigratorError } from '../../src/errors.ts';

function refusal(act: () => unknown): MigratorError {
  try {
    act();
  } catch (error) {
    if (error instanceof MigratorError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('a configuration file', () => {
  it('takes the names of the flags, in YAML', () => {
    const config = parseConfig(
      `
database-url: postgres://app@db/shop
jobs: 4
http: off
lock-timeout: 100ms
tables:
  - { table: app.events, range: created_at, every: month }
  - table: app.orders
    range: id
    every: 10000000
    chunk-size: 8MB
`,
      'p.yaml',
    );
    expect(config.settings).toEqual({ 'database-url': 'postgres://app@db/shop', jobs: 4, http: null, 'lock-timeout': 100 });
    expect(config.tables).toEqual([
      { table: 'app.events', settings: { range: 'created_at', every: 'month' } },
      { table: 'app.orders', settings: { range: 'id', every: '10000000', 'chunk-size': 8_388_608 } },
    ]);
  });

  it('takes decisions as a value or a list', () => {
    const decisions = { 'unique:a=b': 'drop', 'publication:p': 'root' };
    expect(parseConfig('decide: ["unique:a=b=drop", publication:p=root]', 'p.yaml').settings).toEqual({ decide: decisions });
    expect(parseConfig('decide: publication:p=root', 'p.yaml').settings).toEqual({ decide: { 'publication:p': 'root' } });
    expect(refusal(() => parseConfig('decide: [publication:p=root, view:v=drop]', 'p.yaml')).message).toContain(
      '"view:v=drop" is not KIND:NAME=CHOICE',
    );
  });

  it('may be JSON, or empty', () => {
    expect(parseConfig('{"jobs": 3, "http": "[::1]:80"}', 'p.json').settings).toEqual({ jobs: 3, http: { host: '::1', port: 80 } });
    expect(parseConfig('', 'p.yaml')).toEqual({ settings: {}, tables: [] });
    expect(parseConfig('# nothing yet\n', 'p.yaml')).toEqual({ settings: {}, tables: [] });
  });

  it.each([
    ['a typo at the top', 'jobs: 2\npremke: 4\n', 'unknown key "premke" in p.yaml line 2', 'did you mean "premake"?'],
    ['a typo in a table', 'tables:\n  - table: a\n    evry: month\n', 'unknown key "evry" in p.yaml line 3', 'did you mean "every"?'],
    ['camel case', 'databaseUrl: x\n', 'unknown key "databaseUrl" in p.yaml line 1', 'did you mean "database-url"?'],
    ['snake case', '\nlock_timeout: 1s\n', 'unknown key "lock_timeout" in p.yaml line 2', 'did you mean "lock-timeout"?'],
    ['a typo in JSON', '{\n  "jbos": 3\n}', 'unknown key "jbos" in p.yaml line 2', 'did you mean "jobs"?'],
    ['a key like nothing', 'zzzzzzzzzz: 1\n', 'unknown key "zzzzzzzzzz" in p.yaml line 1', /^valid keys: database-url, /],
    [
      'a bad duration',
      'jobs: 2\nlock-timeout: 5\n',
      'lock-timeout in p.yaml line 2: "5" is no duration, use a number with ms, s, min, h or d: 200ms, 1s, 5min',
      undefined,
    ],
    [
      'a bad number in a table',
      'tables:\n  - table: a\n    premake: many\n',
      'tables.0.premake in p.yaml line 3: "many" is no whole number from 0 to 1000',
      undefined,
    ],
    ['a list for a value', 'every: [month]\n', 'every in p.yaml line 1: expected a single value', undefined],
    [
      'a table without a name',
      'jobs: 1\ntables:\n  - range: a\n',
      'tables.0.table in p.yaml line 3: expected the name of a table',
      undefined,
    ],
    ['one table without a list', 'tables: app.events\n', 'tables in p.yaml line 1: expected a list of tables', undefined],
    ['text', 'hello\n', 'the file in p.yaml line 1: expected settings, one "name: value" a line', undefined],
    ['no YAML', 'jobs: 2\ntables: [\n', 'p.yaml line 3 is neither YAML nor JSON', undefined],
    ['a key twice', 'jobs: 2\njobs: 3\n', 'p.yaml line 2 is neither YAML nor JSON', undefined],
  ])('with %s is refused', (_case, text, message, hint) => {
    const error = refusal(() => parseConfig(text, 'p.yaml'));
    expect(error.exitCode).toBe(1);
    expect(error.message).toBe(message);
    if (hint instanceof RegExp) expect(error.hint).toMatch(hint);
    else expect(error.hint).toBe(hint);
  });

  it('says where a setting of the connection belongs', () => {
    const error = refusal(() => parseConfig('tables:\n  - table: a\n    database-url: x\n', 'p.yaml'));
    expect(error.message).toBe('unknown key "database-url" in p.yaml line 3');
    expect(error.detail).toBe('It belongs at the top of the file, not to one table.');
  });

  it('that cannot be read is named', () => {
    expect(refusal(() => loadConfig('/nonexistent/p.yaml')).message).toBe('cannot read the configuration file /nonexistent/p.yaml');
  });
});

describe('the settings of a table', () => {
  const config = parseConfig('every: day\npremake: 5\ntables:\n  - { table: a, every: week }\n', 'p.yaml');
  it('come from flags, then the table, then the file', () => {
    expect(settingsFor(config, 'a', { premake: 7 })).toEqual({ every: 'week', premake: 7 });
    expect(settingsFor(config, 'b', {})).toEqual({ every: 'day', premake: 5 });
    expect(settingsFor(config, 'a', { every: 'hour' })).toEqual({ every: 'hour', premake: 5 });
    expect(settingsFor(null, 'a', { every: 'hour' })).toEqual({ every: 'hour' });
  });
});
