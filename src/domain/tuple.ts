import { invariant } from '../errors.ts';

const NULL = 0x6e; // n
const UNCHANGED = 0x75; // u
const TEXT = 0x74; // t
const BINARY = 0x62; // b

/**
 * Walks pgoutput's TupleData (int16 count; per column a kind byte and, for t and b, int32 length and bytes) without
 * splitting it. Reused from tuple to tuple. https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
export class TupleFields {
  #tuple: Buffer = EMPTY;
  #starts = new Int32Array(64);
  #ends = new Int32Array(64);
  #kinds = new Uint8Array(64);
  count = 0;
  hasUnchanged = false;

  read(tuple: Buffer): this {
    if (tuple === this.#tuple) return this;
    this.#tuple = tuple;
    const count = tuple.readUInt16BE(0);
    if (count > this.#kinds.length) {
      this.#starts = new Int32Array(count);
      this.#ends = new Int32Array(count);
      this.#kinds = new Uint8Array(count);
    }
    this.count = count;
    this.hasUnchanged = false;
    let offset = 2;
    for (let i = 0; i < count; i++) {
      const kind = tuple[offset]!;
      this.#kinds[i] = kind;
      offset++;
      if (kind === BINARY || kind === TEXT) {
        const length = (tuple[offset]! << 24) | (tuple[offset + 1]! << 16) | (tuple[offset + 2]! << 8) | tuple[offset + 3]!;
        offset += 4;
        this.#starts[i] = offset;
        offset += length;
        this.#ends[i] = offset;
      } else if (kind === UNCHANGED) this.hasUnchanged = true;
      else invariant(kind === NULL, 'a tuple of the change stream has an unknown column kind', `kind ${kind}, column ${i + 1}`);
    }
    invariant(
      offset === tuple.length,
      'a tuple of the change stream does not end where its columns do',
      `${offset} of ${tuple.length} bytes`,
    );
    return this;
  }

  isNull(position: number): boolean {
    return this.#kinds[position] === NULL;
  }

  isUnchanged(position: number): boolean {
    return this.#kinds[position] === UNCHANGED;
  }

  hasValue(position: number): boolean {
    const kind = this.#kinds[position];
    return position < this.count && (kind === BINARY || kind === TEXT);
  }

  start(position: number): number {
    return this.#starts[position]!;
  }

  end(position: number): number {
    return this.#ends[position]!;
  }

  /** The column's bytes, a view. Throws when the column is null or unsent. */
  bytes(position: number): Buffer {
    invariant(this.hasValue(position), 'a column of the change stream that must have a value has none', `column ${position + 1}`);
    return this.#tuple.subarray(this.#starts[position], this.#ends[position]);
  }
}

const EMPTY = Buffer.alloc(0);

/** The newer tuple with its unsent columns, or those at the positions, taken from the older one of the same row. */
export function mergeTuples(newer: Buffer, older: Buffer, positions?: readonly number[]): Buffer {
  const fields = new TupleFields().read(newer);
  if (!fields.hasUnchanged) return newer;
  const before = new TupleFields().read(older);
  invariant(before.count === fields.count, 'two tuples of one row differ in their number of columns');
  const parts: Buffer[] = [newer.subarray(0, 2)];
  for (let i = 0; i < fields.count; i++) {
    const isTaken = fields.isUnchanged(i) && (positions === undefined || positions.includes(i));
    parts.push(isTaken ? span(before, older, i) : span(fields, newer, i));
  }
  return Buffer.concat(parts);
}

function span(fields: TupleFields, tuple: Buffer, position: number): Buffer {
  if (fields.isNull(position)) return NULL_SPAN;
  if (fields.isUnchanged(position)) return UNCHANGED_SPAN;
  return tuple.subarray(fields.start(position) - 5, fields.end(position));
}

const NULL_SPAN = Buffer.of(NULL);
const UNCHANGED_SPAN = Buffer.of(UNCHANGED);
