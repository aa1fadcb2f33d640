import type { CatalogFacts } from './catalog-facts.ts';

/** What was decided of a generated table, to tell which differences are meant. */
export interface GeneratedContext {
  /** As SQL writes it. */
  readonly table: string;
  readonly key: string;
  readonly decisions: Readonly<Record<string, string>>;
  /** As SQL writes a name. */
  readonly quoted: (name: string) => string;
  readonly before: CatalogFacts;
  readonly major: number;
  /** Whether the role that migrates may act as everybody who granted something. */
  readonly keepsGrantors: boolean;
}

/** Why the catalog differs there; null when it must not. */
export function explainGenerated(line: string, context: GeneratedContext): string | null {
  const { table, decisions, quoted, key } = context;
  const t = `~ table ${table}.`;
  if (
    line === `${t}kind: "r" -> "p"` ||
    line === `${t}access method: "heap" -> null` ||
    line.startsWith(`${t}partition key: null -> "RANGE (`)
  )
    return 'it is partitioned';
  if (line.startsWith(`${t}options: `) && line.endsWith(' -> []')) return 'storage parameters are on the leaves';
  if (line === `+ dependency: column ${key} of table ${table} -> table ${table} (i)`) return 'the partition key';
  if (/^~ index .*\.flags: \[true,true,true,(.*)\] -> \[true,true,false,\1\]$/.test(line)) return 'CLUSTER goes by the mark of the leaves';
  if (!context.keepsGrantors && /^~ (column|table|sequence) .*\.privileges: /.test(line) && haveSamePrivileges(line))
    return 'who granted it is not who migrates';
  const schema = table.slice(0, indexOfDot(table));
  const primary = [...context.before].find(([, { of, facts }]) => of === table && facts['type'] === 'p')?.[0];
  if (primary !== undefined && isWidened(line, primary.slice(`constraint ${table}.`.length), context, schema))
    return 'the primary key holds the partition key';
  // Of several unique indexes on the same columns either serves a foreign key.
  if (/^[-+] dependency: constraint .* on table .* -> index .* \(n\)$/.test(line)) return 'a foreign key goes by another index';
  // A foreign key that was NOT VALID: before 18 a partitioned table takes no such one, each leaf has it.
  const loose = [...context.before].filter(
    ([object, { of, facts }]) => of === table && object.startsWith('constraint ') && facts['type'] === 'f' && facts['validated'] === false,
  );
  for (const [object] of context.major < 18 ? loose : []) {
    const constraint = unquoted(object.slice(`constraint ${table}.`.length));
    if (line.startsWith(`- ${object} `) || line.startsWith(`- dependency: constraint ${constraint} on table ${table} -> `))
      return 'on each leaf';
  }
  for (const [full, choice] of Object.entries(decisions)) {
    const name = full.slice(full.indexOf(':') + 1);
    if (full.startsWith('unique:')) {
      if (choice === 'widen' && isWidened(line, quoted(name), context, schema)) return 'widened, as decided';
      const gone = [
        `- index ${schema}.${quoted(name)} `,
        `- constraint ${table}.${quoted(name)} `,
        `- dependency: index ${schema}.${quoted(name)} -> `,
        `- dependency: index ${name} -> `,
        `- dependency: constraint ${name} on table ${table} -> `,
      ];
      if (
        choice !== 'widen' &&
        (gone.some((start) => line.startsWith(start)) ||
          (line.startsWith('- dependency: ') && line.endsWith(`-> constraint ${name} on table ${table} (i)`)))
      )
        return `${choice}, as decided`;
    }
    if (full.startsWith('foreign-key:')) {
      const { object, of, constraint } = foreignKey(name, context);
      if (
        choice === 'drop' &&
        (line.startsWith(`- ${object} `) || line.startsWith(`- dependency: constraint ${constraint} on table ${of} `))
      )
        return 'dropped, as decided';
      if (
        choice !== 'drop' &&
        (line.startsWith(`~ ${object}.definition: `) || line.startsWith(`+ dependency: constraint ${constraint} on table ${of} `))
      )
        return 'widened, as decided';
    }
    if (full.startsWith('publication:')) {
      if (choice === 'root' && line === `~ publication ${quoted(name)}.pubviaroot: false -> true`) return 'as decided';
      if (choice === 'leaves' && line.startsWith(`~ publication ${quoted(name)}.published: `)) return 'as decided';
    }
  }
  return null;
}

/** The same between the table before and a leaf. */
export function explainGeneratedLeaf(line: string, context: GeneratedContext): string | null {
  const { table, before, decisions, quoted } = context;
  const t = `~ table ${table}.`;
  if (line.startsWith(`${t}partition of: null -> `) || /^~ (index|constraint|trigger) .*\.(partition of|parent): null -> /.test(line))
    return 'it is a leaf';
  if (/^~ (column|constraint) .*\.(inherited: 0 -> 1|local: true -> false)$/.test(line)) return 'it is a leaf';
  if (/^~ .*\.comment: ".*" -> null$/.test(line)) return 'comments are on the table';
  // A row as a whole is another type on a leaf: PostgreSQL casts it.
  if (/^~ trigger .*\.definition: .*\(old\.\* IS DISTINCT FROM new\.\*\).* -> .*\(old\.\*\)::/.test(line)) return 'the whole row';
  if (line.startsWith(`${t}type `)) return 'nothing is made of the row type of a leaf';
  if (/^~ (column|table) .*[. ]privileges: /.test(line))
    return isOwners(line, String(before.get(`table ${table}`)?.facts['owner'])) ? "only the owner's are left" : null;
  if (/^~ constraint .*\.triggers: .* -> \["\\"RI_FKey_check_ins\\" O","\\"RI_FKey_check_upd\\" O"\]$/.test(line))
    return 'what guards the other side is on the table';
  if (/^- trigger .*(FOR EACH STATEMENT)/.test(line) || line.startsWith(`- policy ${table}.`)) return 'on the table alone';
  if (/^~ column .*\.identity: "[ad]" -> ""$/.test(line)) return 'before 17 a partition has none';
  const schema = table.slice(0, indexOfDot(table));
  const primary = [...before].find(([, { of, facts }]) => of === table && facts['type'] === 'p')?.[0];
  if (primary !== undefined && isWidened(line, primary.slice(`constraint ${table}.`.length), context, schema)) return 'widened';
  for (const [full, choice] of Object.entries(decisions)) {
    const name = full.slice(full.indexOf(':') + 1);
    if (!full.startsWith('unique:')) {
      if (choice === 'drop' && full.startsWith('foreign-key:') && line.startsWith(`- ${foreignKey(name, context).object} `))
        return 'dropped, as decided';
      continue;
    }
    if (choice === 'widen' && isWidened(line, quoted(name), context, schema)) return 'widened, as decided';
    if (
      choice === 'drop' &&
      (line.startsWith(`- index ${schema}.${quoted(name)} `) || line.startsWith(`- constraint ${table}.${quoted(name)} `))
    )
      return 'dropped, as decided';
  }
  return null;
}

/** Its definition has the partition key as a further column, and nothing else is different. */
function isWidened(line: string, constraint: string, { table, key, quoted }: GeneratedContext, schema: string): boolean {
  const bare = unquoted(constraint);
  if (line === `+ dependency: constraint ${bare} on table ${table} -> column ${key} of table ${table} (a)`) return true;
  if (line === `+ dependency: index ${schema}.${constraint} -> column ${key} of table ${table} (a)`) return true;
  for (const start of [`~ constraint ${table}.${constraint}.definition: `, `~ index ${schema}.${constraint}.definition: `]) {
    if (!line.startsWith(start)) continue;
    const [was, is] = JSON.parse(`[${line.slice(start.length).replace('" -> "', '", "')}]`) as [string, string];
    const added = `, ${quoted(key)})`;
    const at = is.indexOf(added);
    return at >= 0 && `${is.slice(0, at)})${is.slice(at + added.length)}` === was;
  }
  return false;
}

/** But for who granted them. */
function haveSamePrivileges(line: string): boolean {
  const [was, is] = JSON.parse(`[${line.slice(line.indexOf('.privileges: ') + 13).replace('] -> [', '], [')}]`) as [string[], string[]];
  const granted = (list: readonly string[]): string =>
    [...new Set(list.map((privilege) => privilege.replace(/ by .*$/, '')))].sort().join();
  return granted(was) === granted(is);
}

function isOwners(line: string, owner: string): boolean {
  const left = JSON.parse(line.slice(line.lastIndexOf(' -> ') + 4)) as string[];
  return left.every((privilege) => privilege.startsWith(`${owner} `) && privilege.endsWith(` by ${owner}`));
}

/** The foreign key that a decision names: `schema.child.constraint`, without quotes. */
function foreignKey(
  name: string,
  { before }: GeneratedContext,
): { readonly object: string; readonly of: string; readonly constraint: string } {
  for (const [object, { of, facts }] of before) {
    if (of === null || facts['type'] !== 'f' || !object.startsWith('constraint ')) continue;
    const parts = object.slice('constraint '.length).match(/"(?:[^"]|"")*"|[^."]+/g) ?? [];
    if (parts.map(unquoted).join('.') === name) return { object, of, constraint: unquoted(parts.at(-1)!) };
  }
  throw new Error(`no foreign key is ${name}`);
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

function indexOfDot(table: string): number {
  return table.startsWith('"') ? /^"(?:[^"]|"")*"/.exec(table)![0].length : table.indexOf('.');
}
