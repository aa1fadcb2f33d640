import { readFileSync } from 'node:fs';
import { isMap, isPair, isScalar, LineCounter, parseDocument, type Document } from 'yaml';
import { z } from 'zod';
import { MigratorError } from '../errors.ts';
import { nearest } from './nearest.ts';
import { ALL_SETTINGS, TABLE_SETTINGS, type Setting, type SettingValues } from './settings.ts';

/** What a configuration file says: settings for every table, and settings of single tables. */
export interface Config {
  readonly settings: SettingValues;
  readonly tables: readonly { readonly table: string; readonly settings: SettingValues }[];
}

type Path = readonly PropertyKey[];

/** A scalar of the file goes through the parser of its flag, so that both take and refuse the same. */
function settingsShape(settings: Record<string, Setting<unknown>>): Record<string, z.ZodType> {
  const scalar = z.union([z.string(), z.number(), z.boolean()], { error: 'expected a single value' });
  const entries = Object.entries(settings).map(([name, setting]) => [
    name,
    ('merge' in setting ? z.union([scalar, z.array(scalar)], { error: 'expected a value or a list' }) : scalar)
      .transform((value, context) => {
        try {
          return [value]
            .flat()
            .map((each) => setting.parse(String(each)))
            .reduce((first, second) => setting.merge!(first, second));
        } catch (error) {
          context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
          return z.NEVER;
        }
      })
      .optional(),
  ]);
  return Object.fromEntries(entries) as Record<string, z.ZodType>;
}

const TABLE_KEYS = ['table', ...Object.keys(TABLE_SETTINGS)];
const TOP_KEYS = [...Object.keys(ALL_SETTINGS), 'tables'];

const tableSchema = z.strictObject({ table: z.string({ error: 'expected the name of a table' }).min(1), ...settingsShape(TABLE_SETTINGS) });
const schema = z.strictObject({
  ...settingsShape(ALL_SETTINGS),
  tables: z.array(tableSchema, { error: 'expected a list of tables' }).optional(),
});

/** Reads and checks a configuration file (YAML, of which JSON is a part). USAGE names the key, the file and the line. */
export function loadConfig(file: string): Config {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new MigratorError('USAGE', `cannot read the configuration file ${file}`, {
      detail: error instanceof Error ? error.message : undefined,
      cause: error,
    });
  }
  return parseConfig(text, file);
}

/** The same from the file's text. */
export function parseConfig(text: string, file: string): Config {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const broken = document.errors[0];
  if (broken)
    throw new MigratorError('USAGE', `${file} line ${lines.linePos(broken.pos[0]).line} is neither YAML nor JSON`, {
      detail: broken.message,
    });
  const parsed = schema.safeParse(document.toJS() ?? {});
  if (!parsed.success) throw configError(parsed.error.issues[0]!, document, lines, file);
  const { tables, ...settings } = parsed.data as { tables?: ({ table: string } & SettingValues)[] } & SettingValues;
  const names = (tables ?? []).map(({ table }) => table);
  const again = names.findIndex((name, i) => names.indexOf(name) < i);
  if (again >= 0) {
    throw new MigratorError(
      'USAGE',
      `${names[again]!} is listed twice in ${file} line ${lineOf(document, lines, ['tables', again, 'table'])}`,
      {
        hint: 'keep one of the two entries: a table has one migration',
      },
    );
  }
  return { settings: present(settings), tables: (tables ?? []).map(({ table, ...own }) => ({ table, settings: present(own) })) };
}

/** Without the keys that the schema filled with undefined. */
function present(settings: SettingValues): SettingValues {
  return Object.fromEntries(Object.entries(settings).filter(([, value]: readonly [string, unknown]) => value !== undefined));
}

function configError(issue: z.core.$ZodIssue, document: Document, lines: LineCounter, file: string): MigratorError {
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const valid = issue.path.length > 0 ? TABLE_KEYS : TOP_KEYS;
    const meant = nearest(key, valid);
    const detail = issue.path.length > 0 && key in ALL_SETTINGS ? 'It belongs at the top of the file, not to one table.' : undefined;
    return new MigratorError('USAGE', `unknown key "${key}" in ${file} line ${lineOf(document, lines, issue.path, key)}`, {
      detail,
      hint: meant === null || meant === key ? `valid keys: ${valid.join(', ')}` : `did you mean "${meant}"?`,
    });
  }
  const key = issue.path.length === 0 ? 'the file' : issue.path.map(String).join('.');
  const message = issue.path.length === 0 ? 'expected settings, one "name: value" a line' : issue.message;
  return new MigratorError('USAGE', `${key} in ${file} line ${lineOf(document, lines, issue.path)}: ${message}`);
}

/** Line of a key within the map at `path`, or of the value at `path`. */
function lineOf(document: Document, lines: LineCounter, path: Path, key?: string): number {
  const parentPath = key === undefined ? path.slice(0, -1) : path;
  const wanted = key ?? path.at(-1);
  for (let at: Path = parentPath; ; at = at.slice(0, -1)) {
    const node = at.length === 0 ? document.contents : document.getIn(at, true);
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === wanted);
      const range = (isScalar(pair?.key) ? pair.key.range : undefined) ?? node.range;
      return range ? lines.linePos(range[0]).line : 1;
    }
    const range = (node as { range?: readonly number[] } | null)?.range;
    if (range) return lines.linePos(range[0]!).line;
    if (at.length === 0) return 1;
  }
}

/** The settings of one table: what stands for it in the file over what stands for all of them, flags over both. */
export function settingsFor(config: Config | null, table: string | undefined, flags: SettingValues): SettingValues {
  const own = config?.tables.find((entry) => entry.table === table)?.settings ?? {};
  return { ...config?.settings, ...own, ...flags };
}
