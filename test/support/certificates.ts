import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';

/** A certificate and its key in PEM, made by the test itself: nothing secret is kept in the repository, and no program is needed. */
export interface Certificate {
  readonly name: string;
  readonly cert: string;
  readonly key: string;
  readonly privateKey: KeyObject;
}

export interface CertificateOptions {
  readonly name: string;
  /** Names that a host goes by. */
  readonly hosts?: readonly string[];
  /** Null: it signs itself, and is an authority. */
  readonly authority: Certificate | null;
  readonly from?: Date;
  readonly until?: Date;
}

const DAY_MS = 86_400_000;

/** Makes an X.509 certificate with an elliptic key. https://www.rfc-editor.org/rfc/rfc5280#section-4.1 */
export function makeCertificate({ name, hosts = [], authority, from, until }: CertificateOptions): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const algorithm = sequence(oid('1.2.840.10045.4.3.2')); // ecdsa-with-SHA256
  const extensions = [
    ...(authority === null ? [sequence(oid('2.5.29.19'), TRUE, octets(sequence(TRUE)))] : []),
    ...(hosts.length === 0 ? [] : [sequence(oid('2.5.29.17'), octets(sequence(...hosts.map((host) => der(0x82, Buffer.from(host))))))]),
  ];
  const body = sequence(
    der(0xa0, integer(Buffer.from([2]))), // version 3
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    named(authority?.name ?? name),
    sequence(time(from ?? new Date(Date.now() - DAY_MS)), time(until ?? new Date(Date.now() + DAY_MS))),
    named(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    ...(extensions.length === 0 ? [] : [der(0xa3, sequence(...extensions))]),
  );
  const signature = sign('sha256', body, authority?.privateKey ?? privateKey);
  const whole = sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature])));
  return { name, privateKey, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), cert: pem(whole) };
}

const TRUE = Buffer.from([0x01, 0x01, 0xff]);

function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const header = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...header]), content]);
}

const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, Buffer.concat(parts));
const integer = (bytes: Buffer): Buffer => der(0x02, bytes);
const octets = (content: Buffer): Buffer => der(0x04, content);
const named = (name: string): Buffer => sequence(der(0x31, sequence(oid('2.5.4.3'), der(0x0c, Buffer.from(name)))));
/** GeneralizedTime, which holds every year. */
const time = (moment: Date): Buffer => der(0x18, Buffer.from(`${moment.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`));

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const digits = (value: number): number[] => (value < 0x80 ? [value] : [...digits(value >> 7).map((each) => each | 0x80), value & 0x7f]);
  return der(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(digits)]));
}

function pem(bytes: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
}
