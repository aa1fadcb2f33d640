import { finished, pipeline } from 'node:stream/promises';
import pgCopyStreams, { type CopyToStreamQuery } from 'pg-copy-streams';
import { invariant } from '../errors.ts';
import { abandon, type Client } from './client.ts';

const { from: copyFrom, to: copyTo } = pgCopyStreams;

/** Bytes of `PGCOPY\n\377\r\n\0`, flags and header extension length. https://www.postgresql.org/docs/current/sql-copy.html */
const HEADER_BYTES = 19;

/**
 * A COPY … TO STDOUT. Its stream ends with the last row; the server says afterwards, and maybe later, how many there were, or is gone by then:
 * `completed` waits for that, and tells every failure that the stream tells.
 */
function copyOut(client: Client, sql: string, highWaterMark?: number): { stream: CopyToStreamQuery; completed: Promise<void> } {
  const stream = copyTo(sql, highWaterMark === undefined ? undefined : { highWaterMark });
  const completed = new Promise<void>((resolve, reject) => {
    Object.assign(stream, { handleReadyForQuery: resolve }); // the driver calls it once the query is over
    stream.on('error', reject); // for good: an error that nobody listens for would end the process
  });
  completed.catch(() => undefined);
  return { stream: client.query(stream), completed };
}

/** Sends a whole COPY … FROM STDIN from memory. Returns the rows that the server counted. */
export async function copyIn(client: Client, sql: string, data: Buffer): Promise<number> {
  const stream = client.query(copyFrom(sql));
  stream.end(data);
  await finished(stream);
  return stream.rowCount;
}

/** Streams one COPY … TO STDOUT into one COPY … FROM STDIN, with the back-pressure of the sockets. When it fails, both sessions are cut. */
export async function copyThrough(
  from: Client,
  fromSql: string,
  to: Client,
  toSql: string,
  signal: AbortSignal,
): Promise<{ rows: number; bytes: number }> {
  const { stream: out, completed } = copyOut(from, fromSql, 1 << 20);
  const into = to.query(copyFrom(toSql, { highWaterMark: 1 << 20 }));
  let bytes = 0;
  out.on('data', (chunk: Buffer) => (bytes += chunk.length));
  out.pause();
  try {
    await pipeline(out, into, { signal });
    await completed;
  } catch (error) {
    // Both sessions may be in the middle of the copy, deaf to a ROLLBACK: it would wait for ever.
    abandon(from);
    abandon(to);
    throw error;
  }
  invariant(out.rowCount === into.rowCount, 'a chunk was not copied whole', `${out.rowCount} rows read, ${into.rowCount} written`);
  return { rows: into.rowCount, bytes };
}

/** Reads a small COPY (FORMAT binary) TO STDOUT whole: per row the fields' bytes, null for NULL. */
export async function copyOutRows(client: Client, sql: string): Promise<(Buffer | null)[][]> {
  const parts: Buffer[] = [];
  const { stream, completed } = copyOut(client, sql);
  for await (const part of stream) parts.push(part as Buffer);
  await completed;
  const data = Buffer.concat(parts);
  const rows: (Buffer | null)[][] = [];
  let offset = HEADER_BYTES;
  for (;;) {
    const fields = data.readInt16BE(offset);
    offset += 2;
    if (fields === -1) break;
    const row: (Buffer | null)[] = [];
    for (let i = 0; i < fields; i++) {
      const length = data.readInt32BE(offset);
      offset += 4;
      row.push(length === -1 ? null : Buffer.from(data.subarray(offset, offset + length)));
      if (length > 0) offset += length;
    }
    rows.push(row);
  }
  invariant(offset === data.length, 'a binary COPY does not end where its rows do');
  return rows;
}
