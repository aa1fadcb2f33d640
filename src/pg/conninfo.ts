import { MigratorError } from '../errors.ts';

/** libpq's connection parameters by their own names. https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS */
export type ConnectionParameters = Readonly<Record<string, string>>;

const USED = [
  'host',
  'hostaddr',
  'port',
  'dbname',
  'user',
  'password',
  'passfile',
  'service',
  'options',
  'connect_timeout',
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'ssl_min_protocol_version',
  'ssl_max_protocol_version',
  'channel_binding',
  'require_auth',
];

/** Taken, and without effect here: what the tool pins itself, or what the driver does not do. */
const TAKEN = [
  'application_name',
  'fallback_application_name',
  'client_encoding',
  'gssencmode',
  'krbsrvname',
  'gsslib',
  'gssdelegation',
  'keepalives',
  'keepalives_idle',
  'keepalives_interval',
  'keepalives_count',
  'tcp_user_timeout',
  'target_session_attrs',
  'load_balance_hosts',
  'sslcompression',
  'sslsni',
  'sslnegotiation',
  'min_protocol_version',
  'max_protocol_version',
  'uselibpqcompat',
];

const KNOWN = new Set([...USED, ...TAKEN]);

/** Parses `postgres://user:password@host:port/dbname?param=value`. The text never appears in an error: it may hold a password. */
export function parseUrl(text: string, origin: string): ConnectionParameters {
  // Not URL's own parser: it refuses the forms of libpq without a host, with several hosts and with a socket directory.
  const match = /^postgres(?:ql)?:\/\/(?:([^/?]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/.exec(text);
  if (!match) throw malformed(origin);
  const [, credentials, hosts = '', database = '', query = ''] = match;
  const found: Record<string, string> = {};
  const put = (name: string, value: string | undefined): void => {
    if (value !== undefined && value !== '') found[name] = decode(value, origin);
  };
  if (credentials !== undefined) {
    const colon = credentials.indexOf(':');
    put('user', colon < 0 ? credentials : credentials.slice(0, colon));
    if (colon >= 0) put('password', credentials.slice(colon + 1));
  }
  const parts = hosts.split(',').map((part) => /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(part) ?? [part, undefined, undefined]);
  if (parts.some(([, host]) => host === undefined)) throw malformed(origin);
  put('host', parts.map(([, host = '']) => host.replace(/^\[(.*)\]$/, '$1')).join(','));
  put('port', [...new Set(parts.map(([, , port = '']) => port))].join(','));
  put('dbname', database);
  for (const pair of query.split('&').filter((each) => each !== '')) {
    const equals = pair.indexOf('=');
    if (equals < 0) throw new MigratorError('USAGE', `${origin}: the parameter "${pair}" has no value`);
    put(checkName(decode(pair.slice(0, equals), origin), origin), pair.slice(equals + 1));
  }
  return found;
}

/** Parses libpq's `host=… dbname='…'` form. */
export function parseConninfo(text: string, origin: string): ConnectionParameters {
  const found: Record<string, string> = {};
  const pattern = /\s*([A-Za-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)/sy;
  let end = 0;
  while (text.slice(end).trim() !== '') {
    pattern.lastIndex = end;
    const match = pattern.exec(text);
    if (!match) throw malformed(origin);
    end = pattern.lastIndex;
    found[checkName(match[1]!, origin)] = (match[2] ?? match[3] ?? '').replace(/\\(.)/gs, '$1');
  }
  return found;
}

/** Refuses a name that libpq would refuse, so that a typo such as `sslmod` is not passed over in silence. */
export function checkName(name: string, origin: string): string {
  if (name === 'ssl')
    throw new MigratorError('USAGE', `${origin}: unknown connection parameter "ssl"`, {
      hint: 'write sslmode=require, or sslmode=verify-full with sslrootcert',
    });
  if (!KNOWN.has(name))
    throw new MigratorError('USAGE', `${origin}: unknown connection parameter "${name}"`, { hint: `one of ${USED.join(', ')}` });
  return name;
}

function decode(text: string, origin: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new MigratorError('USAGE', `${origin} holds a broken percent-escape`, { hint: 'write a literal % as %25' });
  }
}

function malformed(origin: string): MigratorError {
  return new MigratorError('USAGE', `${origin} is no connection string`, {
    hint: 'postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require; escape special characters of the password (@ is %40, / is %2F)',
  });
}
