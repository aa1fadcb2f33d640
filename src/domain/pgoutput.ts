import { invariant, MigratorError } from '../errors.ts';
import type { Lsn } from './lsn.ts';

/** A column as a Relation message describes it: live columns only, without generated ones before PostgreSQL 18. */
export interface RelationColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly typmod: number;
  /** Part of the replica identity; true for every column under REPLICA IDENTITY FULL. */
  readonly isKey: boolean;
}

/** K: the columns of the replica identity, the others null. O: the whole old row (REPLICA IDENTITY FULL). */
export type OldKind = 'K' | 'O';

/**
 * A message of pgoutput, protocol version 1. https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 * `tuple` and `old` are raw TupleData (int16 count; per column a kind byte n, u, t or b, for t and b an int32 length and the
 * bytes): views of the decoded buffer, known to end where their columns do, not split.
 */
export type WalMessage =
  /** `finalLsn` is the LSN of the commit record; xid is 32 bits wide. */
  | { readonly kind: 'begin'; readonly finalLsn: Lsn; readonly commitTimeUs: bigint; readonly xid: number }
  /** `commitLsn` is where the commit record begins, `endLsn` where the next record may begin: what is confirmed. */
  | { readonly kind: 'commit'; readonly commitLsn: Lsn; readonly endLsn: Lsn; readonly commitTimeUs: bigint }
  | {
      readonly kind: 'relation';
      readonly oid: number;
      readonly schema: string;
      readonly name: string;
      /** pg_class.relreplident: d, n, f or i. */
      readonly replicaIdentity: string;
      readonly columns: readonly RelationColumn[];
    }
  | { readonly kind: 'insert'; readonly oid: number; readonly tuple: Buffer }
  /** `old` is null when neither the identity's columns changed nor the identity is full. */
  | { readonly kind: 'update'; readonly oid: number; readonly old: Buffer | null; readonly oldKind: OldKind | null; readonly tuple: Buffer }
  | { readonly kind: 'delete'; readonly oid: number; readonly old: Buffer; readonly oldKind: OldKind }
  | { readonly kind: 'truncate'; readonly oids: readonly number[]; readonly cascade: boolean; readonly restartIdentity: boolean }
  /** pg_logical_emit_message. A transactional one stands between begin and commit, the other anywhere. */
  | { readonly kind: 'message'; readonly transactional: boolean; readonly lsn: Lsn; readonly prefix: string; readonly content: Buffer }
  | { readonly kind: 'origin'; readonly commitLsn: Lsn; readonly name: string }
  | { readonly kind: 'type'; readonly oid: number; readonly schema: string; readonly name: string };

/** Turns the bytes of a name into text. */
export type DecodeText = (data: Buffer, start: number, end: number) => string;

const utf8: DecodeText = (data, start, end) => data.toString('utf8', start, end);

/**
 * Decodes one message, which fills `data` from `start` to `end`. Strict: what does not fit to the last byte is a DEFECT,
 * because a message that is understood in part would become a row that is wrong in part.
 *
 * @param text for the names in a Relation, Type or Message: they come in the session's client_encoding.
 */
export function decodePgoutput(data: Buffer, start = 0, end: number = data.length, text: DecodeText = utf8): WalMessage {
  try {
    return decode(data, start, end, text);
  } catch (cause) {
    // Reading past the end of a Buffer is node's RangeError.
    if (cause instanceof RangeError)
      throw new MigratorError('DEFECT', 'a message of the change stream is too short', { detail: describe(data, start, end), cause });
    throw cause;
  }
}

function decode(data: Buffer, start: number, end: number, text: DecodeText): WalMessage {
  switch (data[start]) {
    case 0x49: // I
      return { kind: 'insert', oid: data.readUInt32BE(start + 1), tuple: lastTuple(data, start, start + 5, 0x4e, end) };
    case 0x55: // U
      return decodeUpdate(data, start, end);
    case 0x44: {
      // D
      const kind = data[start + 5] === 0x4f ? 'O' : 'K';
      return {
        kind: 'delete',
        oid: data.readUInt32BE(start + 1),
        old: lastTuple(data, start, start + 5, kind === 'O' ? 0x4f : 0x4b, end),
        oldKind: kind,
      };
    }
    case 0x42: // B
      fits(data, start, end, start + 21);
      return {
        kind: 'begin',
        finalLsn: data.readBigUInt64BE(start + 1),
        commitTimeUs: data.readBigInt64BE(start + 9),
        xid: data.readUInt32BE(start + 17),
      };
    case 0x43: // C, with a byte of flags that has no meaning yet
      fits(data, start, end, start + 26);
      return {
        kind: 'commit',
        commitLsn: data.readBigUInt64BE(start + 2),
        endLsn: data.readBigUInt64BE(start + 10),
        commitTimeUs: data.readBigInt64BE(start + 18),
      };
    case 0x52: // R
      return decodeRelation(data, start, end, text);
    case 0x54: // T
      return decodeTruncate(data, start, end);
    case 0x4d: // M
      return decodeMessage(data, start, end, text);
    case 0x4f: {
      // O
      const name = cstring(data, start + 9, end, text);
      fits(data, start, end, name.end);
      return { kind: 'origin', commitLsn: data.readBigUInt64BE(start + 1), name: name.text };
    }
    case 0x59: {
      // Y
      const schema = cstring(data, start + 5, end, text);
      const name = cstring(data, schema.end, end, text);
      fits(data, start, end, name.end);
      return { kind: 'type', oid: data.readUInt32BE(start + 1), schema: schema.text, name: name.text };
    }
    default:
      throw new MigratorError('DEFECT', 'a message of the change stream has an unknown kind', { detail: describe(data, start, end) });
  }
}

function decodeUpdate(data: Buffer, start: number, end: number): WalMessage {
  const oid = data.readUInt32BE(start + 1);
  const marker = data[start + 5];
  if (marker === 0x4e) return { kind: 'update', oid, old: null, oldKind: null, tuple: lastTuple(data, start, start + 5, 0x4e, end) };
  if (marker !== 0x4b && marker !== 0x4f) throw misfit(data, start, end);
  const oldEnd = tupleEnd(data, start + 6, end);
  return {
    kind: 'update',
    oid,
    old: data.subarray(start + 6, oldEnd),
    oldKind: marker === 0x4b ? 'K' : 'O',
    tuple: lastTuple(data, start, oldEnd, 0x4e, end),
  };
}

/** The TupleData after its marker byte at `at`, which ends where the message does. */
function lastTuple(data: Buffer, start: number, at: number, marker: number, end: number): Buffer {
  if (data[at] !== marker || tupleEnd(data, at + 1, end) !== end) throw misfit(data, start, end);
  return data.subarray(at + 1, end);
}

/** Where the TupleData that begins at `offset` ends; more than `end` when it runs over it. */
function tupleEnd(data: Buffer, offset: number, end: number): number {
  let columns = (data[offset]! << 8) | data[offset + 1]!;
  let at = offset + 2;
  for (; columns > 0 && at < end; columns--) {
    const kind = data[at++];
    if (kind === 0x62 || kind === 0x74) {
      // Bit operations, not readInt32BE: this runs for every column of every change. A negative length ends in a misfit.
      const length = (data[at]! << 24) | (data[at + 1]! << 16) | (data[at + 2]! << 8) | data[at + 3]!;
      if (length < 0) return end + 1;
      at += 4 + length;
    } else if (kind !== 0x6e && kind !== 0x75) return end + 1;
  }
  return columns === 0 ? at : end + 1;
}

function decodeRelation(data: Buffer, start: number, end: number, text: DecodeText): WalMessage {
  const schema = cstring(data, start + 5, end, text);
  const name = cstring(data, schema.end, end, text);
  let at = name.end + 3;
  const columns: RelationColumn[] = [];
  for (let count = data.readUInt16BE(name.end + 1); count > 0; count--) {
    const column = cstring(data, at + 1, end, text);
    columns.push({
      name: column.text,
      typeOid: data.readUInt32BE(column.end),
      typmod: data.readInt32BE(column.end + 4),
      isKey: data[at] === 1,
    });
    at = column.end + 8;
  }
  fits(data, start, end, at);
  return {
    kind: 'relation',
    oid: data.readUInt32BE(start + 1),
    // pgoutput leaves the name of pg_catalog empty.
    schema: schema.text === '' ? 'pg_catalog' : schema.text,
    name: name.text,
    replicaIdentity: String.fromCharCode(data[name.end]!),
    columns,
  };
}

function decodeTruncate(data: Buffer, start: number, end: number): WalMessage {
  const count = data.readUInt32BE(start + 1);
  fits(data, start, end, start + 6 + 4 * count);
  const options = data[start + 5]!;
  const oids = Array.from({ length: count }, (_, i) => data.readUInt32BE(start + 6 + 4 * i));
  return { kind: 'truncate', oids, cascade: (options & 1) !== 0, restartIdentity: (options & 2) !== 0 };
}

function decodeMessage(data: Buffer, start: number, end: number, text: DecodeText): WalMessage {
  const prefix = cstring(data, start + 10, end, text);
  fits(data, start, end, prefix.end + 4 + data.readUInt32BE(prefix.end));
  return {
    kind: 'message',
    transactional: (data[start + 1]! & 1) !== 0,
    lsn: data.readBigUInt64BE(start + 2),
    prefix: prefix.text,
    content: data.subarray(prefix.end + 4, end),
  };
}

/** Reads up to the zero byte; `end` is behind it. */
function cstring(data: Buffer, at: number, end: number, text: DecodeText): { text: string; end: number } {
  const zero = data.indexOf(0, at);
  invariant(zero >= at && zero < end, 'a name in the change stream has no end', describe(data, at, end));
  return { text: text(data, at, zero), end: zero + 1 };
}

function fits(data: Buffer, start: number, end: number, at: number): void {
  if (at !== end) throw misfit(data, start, end);
}

function misfit(data: Buffer, start: number, end: number): MigratorError {
  return new MigratorError('DEFECT', 'a message of the change stream does not end where its fields do', {
    detail: describe(data, start, end),
  });
}

/** Without the content, which may be a person's data. */
function describe(data: Buffer, start: number, end: number): string {
  return start < end ? `kind ${JSON.stringify(String.fromCharCode(data[start]!))}, ${end - start} bytes` : 'no bytes';
}
