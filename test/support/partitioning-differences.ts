import type { Allowed } from './catalog-differences.ts';

/*
 * What is different about every table that was partitioned. Tests add what is special about theirs.
 */

function literal(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\"]/g, '\\$&');
}

function allow(pattern: string, reason: string): Allowed {
  return { pattern: new RegExp(pattern), reason };
}

/** The table itself; `options` where it has storage parameters. */
export function partitioned(table: string, { options = false }: { readonly options?: boolean } = {}): Allowed[] {
  const t = literal(table);
  return [
    allow(`^~ table ${t}\\.kind: "r" -> "p"$`, 'it is partitioned'),
    allow(`^~ table ${t}\\.access method: "heap" -> null$`, 'it has no rows of its own, and no access method'),
    allow(`^~ table ${t}\\.partition key: null -> "RANGE \\(.*\\)"$`, 'it is partitioned'),
    allow(`^\\+ dependency: column .* of table ${t} -> table ${t} \\(i\\)$`, 'the partition key cannot be dropped'),
    ...(options
      ? [allow(`^~ table ${t}\\.options: \\[.+\\] -> \\[\\]$`, 'storage parameters are on the leaves: a partitioned table takes none')]
      : []),
  ];
}

/** A primary key or unique constraint that got the partition key as its last column. */
export function widened(table: string, constraint: string, key: string, { onLeaf = false }: { readonly onLeaf?: boolean } = {}): Allowed[] {
  const [t, c] = [literal(table), literal(constraint)];
  const schema = t.slice(0, t.indexOf('\\.'));
  return [
    allow(
      `^~ constraint ${t}\\.${c}\\.definition: "(.*)\\)(.*)" -> "\\1, ${key}\\)\\2"$`,
      `${constraint} holds the partition key: PostgreSQL keeps uniqueness leaf by leaf`,
    ),
    allow(`^~ index ${schema}\\.${c}\\.definition: "(.*)\\)(.*)" -> "\\1, ${key}\\)\\2"$`, `${constraint} holds the partition key`),
    // Dependencies of leaves are not compared.
    ...(onLeaf
      ? []
      : [
          allow(
            `^\\+ dependency: constraint ${c} on table ${t} -> column ${key} of table ${t} \\(a\\)$`,
            `${constraint} holds the partition key`,
          ),
        ]),
  ];
}

interface OnLeaves {
  readonly comments?: boolean;
  readonly privileges?: boolean;
  readonly foreignKeys?: boolean;
  readonly statementTriggers?: boolean;
}

/** What is different about every leaf; what is named is there to differ. */
export function onLeaves(table: string, { comments, privileges, foreignKeys, statementTriggers }: OnLeaves): Allowed[] {
  const t = literal(table);
  return [
    allow(`^~ table ${t}\\.partition of: null -> `, 'it is a leaf'),
    allow(`^~ index .*\\.partition of: null -> `, "its index is a part of the table's"),
    allow(`^~ (constraint|trigger) .*\\.parent: null -> `, "its constraints and row triggers are parts of the table's"),
    allow(`^~ (column|constraint) .*\\.(inherited: 0 -> 1|local: true -> false)$`, 'its columns and constraints are those of the table'),
    ...(comments === true ? [allow(`^~ .*\\.comment: ".*" -> null$`, 'comments are on the table')] : []),
    ...(privileges === true
      ? [
          allow(
            `^~ (column|table) ${t}.*\\.privileges: \\[.*\\] -> \\[("(role_\\w+|postgres) \\w+ by \\3",?)*\\]$`,
            "a leaf is reached through the table, whose privileges count: its owner's are left",
          ),
        ]
      : []),
    ...(foreignKeys === true
      ? [
          allow(
            `^~ constraint ${t}\\..*\\.triggers: \\[.*RI_FKey.*\\] -> \\[("\\\\"RI_FKey_check_(ins|upd)\\\\" O",?)+\\]$`,
            'what guards the other side is on the table',
          ),
        ]
      : []),
    ...(statementTriggers === true
      ? [allow(`^- trigger ${t}\\..*FOR EACH STATEMENT`, 'triggers of statements fire on the table that the statement names')]
      : []),
  ];
}

/** The same in the texts of pg_dump. */
export function partitionedInDump(table: string, { options = false }: { readonly options?: boolean } = {}): Allowed[] {
  const name = literal(table.slice(table.indexOf('.') + 1).replaceAll('"', ''));
  return [
    allow(
      `^~ ${name}; Type: TABLE: (.*) \\)${options ? ' WITH \\(.*?\\)' : ''}; (.*) -> \\1 \\) PARTITION BY RANGE \\(\\w+\\); \\2$`,
      `it is partitioned${options ? '; storage parameters are on the leaves' : ''}`,
    ),
  ];
}

export function widenedInDump(table: string, constraint: string, key: string): Allowed {
  return allow(
    `^~ ${literal(table.slice(table.indexOf('.') + 1).replaceAll('"', ''))} ${constraint}; Type: CONSTRAINT: (.*)\\)(.*) -> \\1, ${key}\\)\\2$`,
    `${constraint} holds the partition key`,
  );
}
