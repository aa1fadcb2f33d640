import type { Attachments } from '../domain/attachments.ts';
import { loadSql } from '../sql/load.ts';
import type { Client } from './client.ts';

type Part = keyof Omit<Attachments, 'materializedViews'>;

/** The statements of sql/catalog/attachments; `one`: a single row. */
const PARTS: Readonly<Record<Part, { readonly file: string; readonly one?: true }>> = {
  foreignKeys: { file: 'foreign-keys' },
  triggers: { file: 'triggers' },
  views: { file: 'views' },
  routines: { file: 'routines' },
  mentions: { file: 'mentions' },
  policies: { file: 'policies' },
  rowSecurity: { file: 'row-security', one: true },
  rules: { file: 'rules' },
  publications: { file: 'publications' },
};

/**
 * Everything that hangs on a table, in two statements: it is read again under the cutover's lock, where each round trip counts.
 * The text is JSON of the server's own making, so that two readings can be compared as they are.
 */
export async function fetchAttachments(client: Client, oid: number): Promise<{ readonly attachments: Attachments; readonly text: string }> {
  const made = await client.query<{ text: string }>(
    `select coalesce(json_agg(part), '[]')::text as text from (${loadSql('catalog/attachments/materialized-views')}\n) part`,
    [oid],
  );
  const materializedViews = JSON.parse(made.rows[0]!.text) as Attachments['materializedViews'];
  const replaced = [oid, ...materializedViews.map((view) => Number(view.oid))];
  const parts = Object.entries(PARTS).map(([name, { file, one }]) => {
    const rows = `select ${one ? 'to_json(part)' : `coalesce(json_agg(part), '[]')`} from (${loadSql(`catalog/attachments/${file}`)}\n) part`;
    return `'${name}', (${rows})`;
  });
  const { rows } = await client.query<{ text: string }>(`select json_build_object(${parts.join(', ')})::text as text`, [oid, replaced]);
  const text = rows[0]!.text;
  return {
    attachments: { ...(JSON.parse(text) as Omit<Attachments, 'materializedViews'>), materializedViews },
    text: made.rows[0]!.text + text,
  };
}
