import type { BadInput } from './row.ts';

type Row = readonly [name: string, file: string, message: string, hint: string | null, args?: string];

const FILE = '{dir}/p.yaml';
const CHECK = `check --config ${FILE}`;

const ROWS: readonly Row[] = [
  [
    'no file',
    '',
    'the configuration file {dir}/none.yaml does not exist',
    'partitioner --help shows an example',
    'check --config {dir}/none.yaml',
  ],
  ['a directory', '', 'cannot read the configuration file {dir}', null, 'check --config {dir}'],
  ['no YAML', 'jobs: 2\ntables: [\n', `${FILE} line 3 is neither YAML nor JSON`, null],
  ['text', 'hello\n', `the file in ${FILE} line 1: expected settings, one "name: value" a line`, null],
  ['a list', '- jobs: 2\n', `the file in ${FILE} line 1: expected settings`, null],
  ['an unknown key', 'jobs: 2\npremke: 4\n', `unknown key "premke" in ${FILE} line 2`, 'did you mean "premake"?'],
  [
    'an unknown key of a table',
    'tables:\n  - { table: app.events, range: at, evry: month }\n',
    `unknown key "evry" in ${FILE} line 2`,
    'did you mean "every"?',
  ],
  [
    'a setting of the connection at a table',
    'tables:\n  - table: a\n    database-url: x\n',
    `unknown key "database-url" in ${FILE} line 3`,
    'valid keys: table,',
  ],
  ['a key twice', 'jobs: 2\njobs: 3\n', `${FILE} line 2 is neither YAML nor JSON`, null],
  [
    'a table twice',
    'tables:\n  - { table: app.events, range: at }\n  - { table: app.events, range: id }\n',
    `app.events is listed twice in ${FILE} line 3`,
    'keep one of the two entries',
  ],
  ['a wrong type', 'tables: app.events\n', `tables in ${FILE} line 1: expected a list of tables`, null],
  ['a list for a value', 'every: [month]\n', `every in ${FILE} line 1: expected a single value`, null],
  ['a table without a name', 'tables:\n  - range: a\n', `tables.0.table in ${FILE} line 2: expected the name of a table`, null],
  ['a value out of range', 'jobs: 65\n', `jobs in ${FILE} line 1: "65" is no whole number from 1 to 64`, null],
  ['a wrong unit', 'lock-timeout: 200\n', `lock-timeout in ${FILE} line 1: "200" is no duration`, null],
  [
    'a step that is none',
    'tables:\n  - { table: a, range: b, every: fortnight }\n',
    `tables.0.every in ${FILE} line 2: "fortnight" is no step`,
    null,
  ],
  [
    'two tables for start',
    'tables:\n  - { table: a, range: x }\n  - { table: b, range: y }\n',
    'start takes one table, the configuration file lists 2: a, b',
    'partitioner start a --config {dir}/p.yaml',
    `start --config ${FILE}`,
  ],
  ['a status of tables that are none', 'tables: [app.events]\n', `tables.0 in ${FILE} line 1`, null, `status --config ${FILE}`],
  [
    'a table without its column',
    'tables:\n  - { table: app.events }\n',
    'missing --range: the column that app.events is to be partitioned by',
    'partitioner check app.events --range',
  ],
  [
    'a database that is none, with a password',
    'database-url: postgresql+ssl://u:secret@h/d\n',
    'database-url of {dir}/p.yaml is no connection string',
    'postgres://USER:PASSWORD@HOST',
  ],
  ['a broken line with a password', 'database-url: "postgres://u:secret@h/d\njobs: 2\n', `is neither YAML nor JSON`, null],
];

/** The configuration file: exit code 1, with key, file and line. */
export const CONFIGURATION: readonly BadInput[] = ROWS.map(([name, file, message, hint, args = CHECK]) => ({
  name: `configuration file: ${name}`,
  args,
  files: { 'p.yaml': file },
  code: 1,
  error: 'USAGE',
  message,
  hint,
}));
