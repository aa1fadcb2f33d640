/** Appends the same columns to tuples of pgoutput (TupleData, see domain/tuple.ts). */
export type PadTuple = (tuple: Buffer) => Buffer;

const NULL = 0x6e; // n
const VALUE = { binary: 0x62, text: 0x74 } as const; // b, t

/** A column that is appended: its bytes, null for NULL. */
export interface PadColumn {
  readonly bytes: Buffer | null;
  readonly wire: keyof typeof VALUE;
}

/** What a row has in columns that came after the change was made. */
export function padTuple(columns: readonly PadColumn[]): PadTuple {
  const spans = columns.flatMap(({ bytes, wire }) => {
    if (bytes === null) return [Buffer.of(NULL)];
    const head = Buffer.alloc(5);
    head[0] = VALUE[wire];
    head.writeInt32BE(bytes.length, 1);
    return [head, bytes];
  });
  const tail = Buffer.concat(spans);
  return (tuple) => {
    const padded = Buffer.concat([tuple, tail]);
    padded.writeUInt16BE(tuple.readUInt16BE(0) + columns.length, 0);
    return padded;
  };
}
