import type { Attachments } from '../domain/attachments.ts';
import { loadSql } from '../sql/load.ts';
import type { Client } from './client.ts';

/** The statements of sql/catalog/attachments, each with $1 the table; `one`: a single row. */
const PARTS: Readonly<Record<keyof Attachments, { readonly file: string; readonly one?: true }>> = {
  foreignKeys: { file: 'foreign-keys' },
  triggers: { file: 'triggers' },
  views: { file: 'views' },
  materializedViews: { file: 'materialized-views' },
  routines: { file: 'routines' },
  mentions: { file: 'mentions' },
  policies: { file: 'policies' },
  rowSecurity: { file: 'row-security', one: true },
  rules: { file: 'rules' },
  publications: { file: 'publications' },
};

/**
 * Everything that hangs on a table, in one statement: it is read again under the cutover's lock, where each round trip counts.
 * The text is JSON of the server's own making, so that two readings can be compared as they are.
 */
export async function fetchAttachments(client: Client, oid: number): Promise<{ readonly attachments: Attachments; readonly text: string }> {
  const parts = Object.entries(PARTS).map(([name, { file, one }]) => {
    const rows = `select ${one ? 'to_json(part)' : `coalesce(json_agg(part), '[]')`} from (${loadSql(`catalog/attachments/${file}`)}\n) part`;
    return `'${name}', (${rows})`;
  });
  const { rows } = await client.query<{ text: string }>(`select json_build_object(${parts.join(', ')})::text as text`, [oid]);
  const text = rows[0]!.text;
  return { attachments: JSON.parse(text) as Attachments, text };
}
