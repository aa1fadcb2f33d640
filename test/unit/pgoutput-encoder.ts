import fc from 'fast-check';
import type { WalMessage } from '../../src/domain/pgoutput.ts';

/** A column of a tuple: n null, u unsent, t text, b binary. */
export interface Column {
  readonly kind: 'n' | 'u' | 't' | 'b';
  readonly value: Buffer;
}

export function encodeTuple(columns: readonly Column[]): Buffer {
  return Buffer.concat([
    int16(columns.length),
    ...columns.map(({ kind, value }) =>
      kind === 't' || kind === 'b' ? Buffer.concat([Buffer.from(kind), int32(value.length), value]) : Buffer.from(kind),
    ),
  ]);
}

/** The inverse of the decoder, written from the protocol's documentation. */
export function encodeMessage(message: WalMessage): Buffer {
  switch (message.kind) {
    case 'begin':
      return Buffer.concat([Buffer.from('B'), int64(message.finalLsn), int64(message.commitTimeUs), int32(message.xid)]);
    case 'commit':
      return Buffer.concat([Buffer.from('C\0'), int64(message.commitLsn), int64(message.endLsn), int64(message.commitTimeUs)]);
    case 'origin':
      return Buffer.concat([Buffer.from('O'), int64(message.commitLsn), text(message.name)]);
    case 'type':
      return Buffer.concat([Buffer.from('Y'), int32(message.oid), text(message.schema), text(message.name)]);
    case 'relation':
      return Buffer.concat([
        Buffer.from('R'),
        int32(message.oid),
        text(message.schema === 'pg_catalog' ? '' : message.schema),
        text(message.name),
        Buffer.from(message.replicaIdentity),
        int16(message.columns.length),
        ...message.columns.flatMap(({ name, typeOid, typmod, isKey }) => [
          Buffer.of(isKey ? 1 : 0),
          text(name),
          int32(typeOid),
          int32(typmod),
        ]),
      ]);
    case 'insert':
      return Buffer.concat([Buffer.from('I'), int32(message.oid), Buffer.from('N'), message.tuple]);
    case 'update':
      return Buffer.concat([
        Buffer.from('U'),
        int32(message.oid),
        ...(message.old ? [Buffer.from(message.oldKind!), message.old] : []),
        Buffer.from('N'),
        message.tuple,
      ]);
    case 'delete':
      return Buffer.concat([Buffer.from('D'), int32(message.oid), Buffer.from(message.oldKind), message.old]);
    case 'truncate':
      return Buffer.concat([
        Buffer.from('T'),
        int32(message.oids.length),
        Buffer.of((message.cascade ? 1 : 0) | (message.restartIdentity ? 2 : 0)),
        ...message.oids.map(int32),
      ]);
    case 'message':
      return Buffer.concat([
        Buffer.from('M'),
        Buffer.of(message.transactional ? 1 : 0),
        int64(message.lsn),
        text(message.prefix),
        int32(message.content.length),
        message.content,
      ]);
  }
}

export const columns: fc.Arbitrary<Column[]> = fc.array(
  fc.record({ kind: fc.constantFrom('n', 'u', 't', 'b'), value: fc.uint8Array({ maxLength: 70 }).map((bytes) => Buffer.from(bytes)) }),
  { maxLength: 40 },
);

const lsn = fc.bigInt(0n, (1n << 64n) - 1n);
const time = fc.bigInt(-(1n << 63n), (1n << 63n) - 1n);
const oid = fc.integer({ min: 0, max: 0xffff_ffff });
const name = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((s) => !s.includes('\0'));
const schema = name.filter((s) => s !== '');
const tuple = columns.map(encodeTuple);
const oldKind = fc.constantFrom('K', 'O');

/** Any message of the protocol. */
export const messages: fc.Arbitrary<WalMessage> = fc.oneof(
  fc.record({ kind: fc.constant('begin'), finalLsn: lsn, commitTimeUs: time, xid: oid }),
  fc.record({ kind: fc.constant('commit'), commitLsn: lsn, endLsn: lsn, commitTimeUs: time }),
  fc.record({ kind: fc.constant('origin'), commitLsn: lsn, name }),
  fc.record({ kind: fc.constant('type'), oid, schema, name }),
  fc.record({
    kind: fc.constant('relation'),
    oid,
    schema,
    name,
    replicaIdentity: fc.constantFrom('d', 'n', 'f', 'i'),
    columns: fc.array(fc.record({ name, typeOid: oid, typmod: fc.integer({ min: -1, max: 0x7fff_ffff }), isKey: fc.boolean() }), {
      maxLength: 30,
    }),
  }),
  fc.record({ kind: fc.constant('insert'), oid, tuple }),
  fc.record({ kind: fc.constant('update'), oid, old: fc.constant(null), oldKind: fc.constant(null), tuple }),
  fc.record({ kind: fc.constant('update'), oid, old: tuple, oldKind, tuple }),
  fc.record({ kind: fc.constant('delete'), oid, old: tuple, oldKind }),
  fc.record({
    kind: fc.constant('truncate'),
    oids: fc.array(oid, { maxLength: 10 }),
    cascade: fc.boolean(),
    restartIdentity: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('message'),
    transactional: fc.boolean(),
    lsn,
    prefix: name,
    content: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  }),
);

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value | 0);
  return bytes;
}

function int64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt.asIntN(64, value));
  return bytes;
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}
