/** PostgreSQL's protocol, as far as a relay has to understand it. https://www.postgresql.org/docs/current/protocol-message-formats.html */
const SSL_REQUEST = 80877103;
const CANCEL_REQUEST = 80877102;

const code = (letter: string): number => letter.charCodeAt(0);
const [QUERY, PARSE, BIND, SYNC, COPY_DATA] = [code('Q'), code('P'), code('B'), code('S'), code('d')];
const [READY, KEY_DATA, COPY_IN, COPY_OUT, COPY_BOTH, ERROR] = [code('Z'), code('K'), code('G'), code('H'), code('W'), code('E')];
/** Of the extended protocol: Parse, Bind, Describe, Execute, Close, Flush. They are held until the Sync that ends their statement. */
const EXTENDED = new Set([PARSE, BIND, code('D'), code('E'), code('C'), code('H')]);

/** Cuts a stream into whole messages. The first ones of a client have no type; `take` says whether types begin. */
export function framed(take: (type: number, message: Buffer) => boolean, typed: boolean): (data: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  let hasType = typed;
  return (data) => {
    rest = rest.length === 0 ? data : Buffer.concat([rest, data]);
    for (;;) {
      const head = hasType ? 1 : 0;
      if (rest.length < head + 4) return;
      const length = head + rest.readInt32BE(head);
      if (rest.length < length) return;
      const message = rest.subarray(0, length);
      rest = rest.subarray(length);
      const next = take(hasType ? message[0]! : 0, message);
      hasType = hasType || next;
    }
  };
}

/** What a client sends, statement by statement. */
export interface ClientSide {
  /** The application_name of the session, once it is known. */
  onName(name: string): void;
  /** A whole statement: its text without comments, and the messages that make it up. */
  onStatement(text: string, messages: Buffer): void;
  /** A message of rows to a COPY or to the walsender. */
  onRows(message: Buffer): void;
  /** Anything else, in its place. */
  onOther(message: Buffer): void;
}

export function readClient(side: ClientSide): (data: Buffer) => void {
  let held: Buffer[] = [];
  let text = '';
  let named = false;
  const prepared = new Map<string, string>();
  return framed((type, message) => {
    if (!named) {
      const request = message.readInt32BE(4);
      if (request !== SSL_REQUEST && request !== CANCEL_REQUEST) {
        named = true;
        side.onName(/application_name\0([^\0]*)\0/.exec(message.toString('latin1'))?.[1] ?? '');
      }
      side.onOther(message);
      return request !== SSL_REQUEST;
    }
    if (type === QUERY) side.onStatement(plain(message.toString('utf8', 5, message.length - 1)), message);
    else if (EXTENDED.has(type)) {
      const [first = '', second = ''] = message.toString('utf8', 5).split('\0');
      if (type === PARSE) prepared.set(first, (text = plain(second)));
      if (type === BIND) text = prepared.get(second) ?? text;
      held.push(Buffer.from(message));
    } else if (type === SYNC) {
      side.onStatement(text, Buffer.concat([...held, message]));
      held = [];
    } else if (type === COPY_DATA) side.onRows(message);
    else side.onOther(message);
    return true;
  }, false);
}

/** What a server answers. */
export interface ServerSide {
  onPid(pid: number): void;
  /** `rows` is true of the rows of a COPY or the stream; `ends` when nothing more of the statement comes, or the client has the word. */
  onMessage(message: Buffer, facts: { readonly rows: boolean; readonly ends: boolean; readonly failed: boolean }): void;
}

export function readServer(side: ServerSide): (data: Buffer) => void {
  return framed((type, message) => {
    if (type === KEY_DATA) side.onPid(message.readInt32BE(5));
    side.onMessage(message, {
      rows: type === COPY_DATA || type === COPY_IN || type === COPY_OUT,
      ends: type === READY || type === COPY_BOTH,
      failed: type === ERROR,
    });
    return true;
  }, true);
}

/** Without the header comment that statements of sql/ have. */
function plain(text: string): string {
  return text
    .replace(/^(\s*--[^\n]*\n)+/, '')
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/;$/, '');
}
