import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MigratorError } from '../../src/errors.ts';
import { describeConnection, resolveConnection, type ConnectionSettings } from '../../src/pg/connection.ts';

let home: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'partitioner-home-'));
  writeFileSync(
    join(home, '.pgpass'),
    [
      '# a comment',
      'db.example:5432:app:ann:of ann',
      '*:6000:*:*:any at 6000',
      String.raw`h\:x:*:*:*:co\:lon\\`,
      'localhost:*:*:sam:by socket',
      '*:*:*:ann:rest of ann',
    ].join('\n'),
  );
  chmodSync(join(home, '.pgpass'), 0o600);
  writeFileSync(
    join(home, '.pg_service.conf'),
    '# services\n[other]\nhost=other\n[prod]\nhost=prod.example\nport = 6432\nuser=svc\ndbname=prod\nsslmode=disable\n[bad]\nhots=x\n',
  );
  for (const name of ['ca.pem', 'me.crt', 'me.key']) writeFileSync(join(home, name), `content of ${name}`);
});
afterAll(() => rmSync(home, { recursive: true }));

const resolve = (databaseUrl: string | undefined, env: NodeJS.ProcessEnv = {}): ConnectionSettings =>
  resolveConnection({ databaseUrl }, { HOME: home, ...env });
const config = (databaseUrl: string | undefined, env: NodeJS.ProcessEnv = {}) => resolve(databaseUrl, env).clientConfig;

function refusal(databaseUrl: string | undefined, env: NodeJS.ProcessEnv = {}): MigratorError {
  try {
    resolve(databaseUrl, env);
  } catch (error) {
    if (error instanceof MigratorError) return error;
    throw error;
  }
  throw new Error('was not refused');
}

describe('a URL', () => {
  it.each([
    ['postgres://ann:pw@h:5433/db', { host: 'h', port: 5433, user: 'ann', password: 'pw', database: 'db' }],
    ['postgresql://ann@h/db', { host: 'h', port: 5432, user: 'ann', database: 'db' }],
    ['postgres://ann:p%40%3A%2F%20@h/d%20b', { password: 'p@:/ ', database: 'd b' }],
    ['postgres://ann:p@w@h/db', { password: 'p@w', host: 'h' }],
    ['postgres://ann@[::1]:5433/db', { host: '::1', port: 5433 }],
    ['postgres://%2Fvar%2Frun%2Fpg/db?user=ann', { host: '/var/run/pg', database: 'db', user: 'ann', ssl: false }],
    ['postgres:///db?host=/sock&user=ann', { host: '/sock', database: 'db' }],
    ['postgres://ann@h', { database: 'ann' }],
    ['postgres://ann@h/db?connect_timeout=7&options=-c%20geqo%3Doff', { connectionTimeoutMillis: 7000, options: '-c geqo=off' }],
    ['postgres://ann@h/db?application_name=x&target_session_attrs=read-write&channel_binding=require', { host: 'h' }],
    [
      String.raw`host=h port=5433 dbname='my db' user=ann password='it''s'`.replace("''", String.raw`\'`),
      { host: 'h', port: 5433, database: 'my db', password: "it's" },
    ],
    ['host=db.internal hostaddr=10.0.0.1 user=u', { host: 'db.internal' }],
  ])('%s', (url, expected) => {
    expect(config(url)).toMatchObject(expected);
  });

  it.each([
    ['http://h/db', /is no connection string/],
    ['postgres://ann@h:99999/db', /invalid port number/],
    ['postgres://ann@h:abc/db', /is no connection string/],
    ['postgres://a,b/db', /several hosts/],
    ['postgres://a:1,b:2/db', /several hosts/],
    ['postgres://ann@h/db?sslmod=require', /unknown connection parameter "sslmod"/],
    ['postgres://ann@h/db?ssl=true', /unknown connection parameter "ssl"/],
    ['postgres://ann@h/db?sslmode=yes', /invalid sslmode/],
    ['postgres://ann@h/100%', /percent-escape/],
    ['host=h dbname', /is no connection string/],
  ])('%s is refused', (url, message) => {
    const error = refusal(url);
    expect(error).toMatchObject({ code: 'USAGE' });
    expect(error.message).toMatch(message);
  });

  it('names where it comes from, and never the text', () => {
    expect(refusal('postgre://ann:secret@h/db').message).toMatch(/^--database-url is no/);
    expect(refusal(undefined, { DATABASE_URL: 'postgre://ann:secret@h/db' }).message).toMatch(/^DATABASE_URL is no/);
    expect(JSON.stringify(refusal('postgre://ann:secret@h/db'))).not.toContain('secret');
    expect(JSON.stringify(refusal('postgres://ann:secret%@h/db'))).not.toContain('secret');
  });
});

describe('the environment', () => {
  it('without anything is a usage error', () => {
    expect(refusal(undefined)).toMatchObject({ code: 'USAGE', message: 'no database is given' });
    expect(refusal(undefined, { DATABASE_URL: '', PGPASSWORD: 'x' }).code).toBe('USAGE');
  });

  it.each(['PGSSLCRL', 'PGSSLCRLDIR'])('%s is refused, not passed over', (name) => {
    const error = refusal('postgres://ann@h/db', { [name]: '/crl.pem' });
    expect(error).toMatchObject({ code: 'USAGE', message: `${name} is set, and certificate revocation lists are not looked at` });
    expect(error.hint).toContain(`unset ${name}`);
    expect(config('postgres://ann@h/db', { [name]: '' })).toMatchObject({ host: 'h' });
  });

  it('takes the flag before DATABASE_URL before the PG* variables, and completes one by the other', () => {
    const env = { DATABASE_URL: 'postgres://url/db', PGHOST: 'env', PGUSER: 'envuser', PGPASSWORD: 'envpw', PGPORT: '7000' };
    expect(config('postgres://flag/db', env)).toMatchObject({ host: 'flag', user: 'envuser', password: 'envpw', port: 7000 });
    expect(config(undefined, env)).toMatchObject({ host: 'url', user: 'envuser' });
    expect(config(undefined, { ...env, DATABASE_URL: '' })).toMatchObject({ host: 'env', database: 'envuser' });
  });

  it('reads the service file, which wins over the variables and yields to the URL', () => {
    expect(config(undefined, { PGSERVICE: 'prod', PGHOST: 'env', PGUSER: 'env' })).toMatchObject({
      host: 'prod.example',
      port: 6432,
      user: 'svc',
      database: 'prod',
      ssl: false,
    });
    expect(config('postgres:///mine?service=prod')).toMatchObject({ host: 'prod.example', database: 'mine' });
    expect(config('service=other', { PGUSER: 'ann' })).toMatchObject({ host: 'other', port: 5432, user: 'ann' });
  });

  it('refuses a service that is not there or misspelt', () => {
    expect(refusal(undefined, { PGSERVICE: 'none' }).message).toMatch(/service "none" is not found/);
    expect(refusal(undefined, { PGSERVICE: 'bad' }).message).toMatch(/unknown connection parameter "hots"/);
  });
});

describe('the password file', () => {
  it.each([
    ['postgres://ann@db.example/app', 'of ann'],
    ['postgres://ann@db.example/other', 'rest of ann'],
    ['postgres://bob@x:6000/y', 'any at 6000'],
    ['postgres://bob@x/y', undefined],
    ['postgres://sam@%2Fsock/y', 'by socket'],
    ["host='h:x' user=bob dbname=y", String.raw`co:lon\ `.trim()],
    ['postgres://ann:given@db.example/app', 'given'],
  ])('%s', (url, password) => {
    expect(config(url).password).toBe(password);
  });

  it('yields to PGPASSWORD', () => {
    expect(config('postgres://ann@db.example/app', { PGPASSWORD: 'env' }).password).toBe('env');
  });

  it('is passed over when others may read it, and found where PGPASSFILE says', () => {
    const file = join(home, 'elsewhere');
    writeFileSync(file, '*:*:*:*:open');
    chmodSync(file, 0o644);
    expect(config('postgres://ann@h/d', { PGPASSFILE: file }).password).toBeUndefined();
    chmodSync(file, 0o600);
    expect(config('postgres://ann@h/d', { PGPASSFILE: file }).password).toBe('open');
  });
});

describe('sslmode', () => {
  const tls = (query: string): ConnectionSettings => resolve(`postgres://ann@h/db?${query}`);

  it('disable is plain, and a Unix socket always is', () => {
    expect(tls('sslmode=disable')).toMatchObject({ clientConfig: { ssl: false }, tlsOptional: false });
    expect(resolve('postgres://ann@%2Fsock/db?sslmode=require').clientConfig.ssl).toBe(false);
  });

  it('prefer is the default: TLS where the server has it', () => {
    expect(tls('')).toEqual(tls('sslmode=prefer'));
    expect(tls('')).toMatchObject({ clientConfig: { ssl: { rejectUnauthorized: false } }, tlsOptional: true });
  });

  it('require encrypts without a check, unless an authority is given', () => {
    expect(tls('sslmode=require')).toMatchObject({ clientConfig: { ssl: { rejectUnauthorized: false } }, tlsOptional: false });
    expect(tls(`sslmode=require&sslrootcert=${home}/ca.pem`)).toMatchObject({
      clientConfig: { ssl: { rejectUnauthorized: true, ca: 'content of ca.pem' } },
    });
  });

  it('verify-ca checks the authority and not the name; verify-full both', () => {
    expect(tls(`sslmode=verify-ca&sslrootcert=${home}/ca.pem`).clientConfig.ssl).toHaveProperty('checkServerIdentity');
    expect(tls(`sslmode=verify-full&sslrootcert=${home}/ca.pem`).clientConfig.ssl).toEqual({
      rejectUnauthorized: true,
      ca: 'content of ca.pem',
    });
    expect(tls('sslmode=verify-full').clientConfig.ssl).toEqual({ rejectUnauthorized: true });
    expect(tls('sslrootcert=system').clientConfig.ssl).toEqual({ rejectUnauthorized: true });
    expect(refusal('postgres://ann@h/db?sslmode=verify-ca').hint).toMatch(/sslrootcert/);
  });

  it('takes the certificate of the client, and says which file it cannot read', () => {
    expect(tls(`sslmode=require&sslcert=${home}/me.crt&sslkey=${home}/me.key`).clientConfig.ssl).toMatchObject({
      cert: 'content of me.crt',
      key: 'content of me.key',
    });
    expect(refusal(`postgres://ann@h/db?sslmode=require&sslcert=${home}/none`).message).toMatch(/cannot read sslcert/);
  });
});

it('describes a connection without its password', () => {
  const settings = resolve('postgres://ann:secret@h:5433/db');
  expect(describeConnection(settings)).toBe('h:5433/db as ann');
});
