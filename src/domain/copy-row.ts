import { invariant } from '../errors.ts';

/** `PGCOPY\n\377\r\n\0`, flags, length of the header's extension. https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4 */
const HEADER = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const NULL = 0x6e; // n
const TEXT = 0x74; // t
const BINARY = 0x62; // b

/** Below this a loop is faster than the call into Buffer.copy. */
const LOOP_BYTES = 32;

/**
 * Builds a `COPY … FROM STDIN (FORMAT binary)` in one growing buffer, without an allocation per row or field.
 * The caller begins a row and appends exactly as many fields as it announced; the server refuses anything else.
 */
export class CopyBuffer {
  #data: Buffer;
  #size: number;

  constructor(initialBytes = 64 << 10) {
    this.#data = Buffer.allocUnsafeSlow(Math.max(initialBytes, HEADER.length));
    this.#size = HEADER.copy(this.#data);
  }

  /** Bytes so far, without the trailer. */
  get size(): number {
    return this.#size;
  }

  beginRow(fields: number): void {
    this.#reserve(2);
    this.#size = this.#data.writeInt16BE(fields, this.#size);
  }

  appendNull(): void {
    this.#reserve(4);
    this.#int32(-1);
  }

  appendInt32Field(value: number): void {
    this.#reserve(8);
    this.#int32(4);
    this.#int32(value);
  }

  appendField(bytes: Buffer): void {
    this.appendSlice(bytes, 0, bytes.length);
  }

  /** The field data[start, end). */
  appendSlice(data: Buffer, start: number, end: number): void {
    this.#reserve(4 + end - start);
    this.#int32(end - start);
    this.#bytes(data, start, end);
  }

  /**
   * Appends a whole row from TupleData (see pgoutput.ts), which must hold every value in binary: an unsent TOAST value ('u')
   * is the caller's to fill in before, and text ('t') would be read as binary. Both are a DEFECT.
   *
   * @param positions of the copied columns in the tuple, in the order of the COPY; a tuple may hold more columns (generated ones from PostgreSQL 18).
   */
  appendTuple(tuple: Buffer, positions: readonly number[]): void {
    const columns = tuple.readUInt16BE(0);
    this.beginRow(positions.length);
    let column = 0;
    let at = 2;
    for (const position of positions) {
      invariant(position < columns, 'a tuple of the change stream has fewer columns than are copied');
      if (position < column) {
        // The COPY's order is not the tuple's: walk again from its beginning.
        column = 0;
        at = 2;
      }
      for (; column < position; column++) at = columnEnd(tuple, at);
      const end = columnEnd(tuple, at);
      const kind = tuple[at]!;
      if (kind === NULL) this.appendNull();
      else {
        invariant(kind === BINARY, 'a row is to be copied that lacks a binary value');
        // Length and bytes stand in the tuple as COPY wants them.
        this.#reserve(end - at - 1);
        this.#bytes(tuple, at + 1, end);
      }
      column++;
      at = end;
    }
  }

  /**
   * Appends the fields of a tuple for a stage: unsent TOAST values as NULL, text as it is (its stage column is text). The caller has
   * begun the row.
   */
  appendSent(tuple: Buffer, positions: readonly number[]): void {
    let column = 0;
    let at = 2;
    for (const position of positions) {
      if (position < column) {
        column = 0;
        at = 2;
      }
      for (; column < position; column++) at = columnEnd(tuple, at);
      const end = columnEnd(tuple, at);
      if (end === at + 1) this.appendNull();
      else {
        this.#reserve(end - at - 1);
        this.#bytes(tuple, at + 1, end);
      }
      column++;
      at = end;
    }
  }

  /** Ends the COPY. The bytes are a view: they hold until clear(). */
  take(): Buffer {
    this.#reserve(2);
    return this.#data.subarray(0, this.#data.writeInt16BE(-1, this.#size));
  }

  /** Begins anew in the same memory: a batch after the other in fresh buffers would outrun the collector. */
  clear(): void {
    this.#size = HEADER.length;
  }

  #int32(value: number): void {
    const data = this.#data;
    let at = this.#size;
    data[at++] = value >>> 24;
    data[at++] = value >>> 16;
    data[at++] = value >>> 8;
    data[at++] = value;
    this.#size = at;
  }

  #bytes(data: Buffer, start: number, end: number): void {
    const target = this.#data;
    let at = this.#size;
    if (end - start > LOOP_BYTES) at += data.copy(target, at, start, end);
    else for (let i = start; i < end; i++) target[at++] = data[i]!;
    this.#size = at;
  }

  #reserve(bytes: number): void {
    const needed = this.#size + bytes;
    if (needed <= this.#data.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#data.length * 2));
    this.#data.copy(larger, 0, 0, this.#size);
    this.#data = larger;
  }
}

/** Where the next column begins. */
function columnEnd(tuple: Buffer, at: number): number {
  const kind = tuple[at];
  return kind === BINARY || kind === TEXT ? at + 5 + tuple.readInt32BE(at + 1) : at + 1;
}
