import type pg from 'pg';
import { MigratorError } from '../errors.ts';

/** What a connection asks of the way that the server authenticates it. */
export interface AuthenticationRules {
  /** channel_binding=require: the password is proven only over a channel that is bound to the server's certificate. */
  readonly channelBinding: boolean;
  /** require_auth: the methods that are taken, or with `!` those that are not. Empty: any. */
  readonly methods: readonly string[];
}

const METHODS = ['none', 'password', 'md5', 'scram-sha-256', 'gss', 'sspi', 'oauth'];

/** libpq's channel_binding and require_auth. https://www.postgresql.org/docs/current/libpq-connect.html */
export function authenticationRules(parameters: Readonly<Record<string, string>>, hasTls: boolean): AuthenticationRules {
  const binding = parameters['channel_binding'] ?? 'prefer';
  if (!['disable', 'prefer', 'require'].includes(binding))
    throw new MigratorError('USAGE', `invalid channel_binding: "${binding}"`, { hint: 'one of disable, prefer, require' });
  if (binding === 'require' && !hasTls)
    throw new MigratorError('USAGE', 'channel_binding=require needs TLS, and there is none over this connection', {
      hint: 'sslmode=require or verify-full, and a host name instead of a socket',
    });
  const methods = (parameters['require_auth'] ?? '').split(',').filter((method) => method !== '');
  for (const method of methods)
    if (!METHODS.includes(method.replace(/^!/, '')))
      throw new MigratorError('USAGE', `invalid require_auth: "${method}"`, { hint: `of ${METHODS.join(', ')}, or each with ! before it` });
  return { channelBinding: binding === 'require', methods };
}

/** The mechanism's name where the server offers to bind the channel. */
const PLUS = 'SCRAM-SHA-256-PLUS';

interface Inside {
  readonly connection: { emit(event: 'error', error: Error): void };
  _handleAuthCleartextPassword(message: unknown): void;
  _handleAuthMD5Password(message: unknown): void;
  _handleAuthSASL(message: { readonly mechanisms: readonly string[] }): void;
}

/**
 * Has the driver refuse what the rules do not allow, before the password is used. Returns a check for when the connection stands: a server
 * that asked for no proof at all has bound nothing.
 */
export function guardAuthentication(client: pg.Client, rules: AuthenticationRules | undefined): () => void {
  if (rules === undefined || (!rules.channelBinding && rules.methods.length === 0)) return () => undefined;
  const inside = client as unknown as Inside;
  let method = 'none';
  const guarded =
    <M>(name: string, bound: (message: M) => boolean, proceed: (message: M) => void) =>
    (message: M): void => {
      method = name;
      const refusal = refuse(rules, name, bound(message));
      if (refusal) inside.connection.emit('error', refusal);
      else proceed(message);
    };
  const no = (): boolean => false;
  inside._handleAuthCleartextPassword = guarded('password', no, inside._handleAuthCleartextPassword.bind(client));
  inside._handleAuthMD5Password = guarded('md5', no, inside._handleAuthMD5Password.bind(client));
  inside._handleAuthSASL = guarded('scram-sha-256', ({ mechanisms }) => mechanisms.includes(PLUS), inside._handleAuthSASL.bind(client));
  return () => {
    const refusal = method === 'none' ? refuse(rules, 'none', false) : null;
    if (refusal) throw refusal;
  };
}

function refuse({ channelBinding, methods }: AuthenticationRules, method: string, bound: boolean): MigratorError | null {
  if (channelBinding && !bound)
    return new MigratorError('POSTGRES', `channel_binding=require, and the server authenticates by "${method}" without it`, {
      hint: 'the server has to use scram-sha-256 over TLS, with nothing in between that ends TLS; or channel_binding=prefer',
    });
  const forbidden = methods.filter((each) => each.startsWith('!')).map((each) => each.slice(1));
  const allowed = methods.filter((each) => !each.startsWith('!'));
  if ((allowed.length === 0 || allowed.includes(method)) && !forbidden.includes(method)) return null;
  return new MigratorError('POSTGRES', `require_auth=${methods.join(',')}, and the server authenticates by "${method}"`, {
    hint: "change the method in the server's pg_hba.conf, or require_auth",
  });
}
