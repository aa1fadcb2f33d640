import type { QualifiedName } from '../../domain/identifier.ts';
import { blocker, passed, warning, type Finding } from './finding.ts';
import type { CheckId } from './registry.ts';
import type { TableFacts } from './table-kind.ts';

/** One row of sql/preflight/dependents.sql: an object that depends on the table or on what belongs to it. */
export interface Dependent {
  /** The system catalog that has it: pg_rewrite, pg_trigger … */
  readonly catalog: string;
  /** pg_depend.deptype */
  readonly dependency: string;
  readonly onRowType: boolean;
  readonly description: string;
  /** Name as SQL writes it, of pg_identify_object. */
  readonly identity: string;
  /** pg_class.relkind when it is a relation, else ''. */
  readonly relationKind: string;
  readonly constraintType: string | null;
  readonly constraintName: string | null;
  readonly isInternalTrigger: boolean;
  /** Of a trigger, rule or policy. */
  readonly name: string | null;
  /** Whether it is defined on the table itself. */
  readonly isOwn: boolean;
  /** The relation that it is defined on, as SQL writes it. */
  readonly relation: string | null;
  /** relkind of the relation that a rule is on. */
  readonly ruleRelationKind: string | null;
}

/** What is said of a dependent that the migration does not carry. */
interface Verdict {
  readonly id: CheckId;
  readonly object: string;
  readonly message: string;
  readonly fix?: string;
}

const EXAMINED = ['row-type', 'other-dependents'] as const satisfies readonly CheckId[];

const NOTHING: Readonly<Record<(typeof EXAMINED)[number], string>> = {
  'row-type': 'nothing is made of its row type',
  'other-dependents': 'nothing else depends on it',
};

type DependedOn = Pick<TableFacts, 'schema' | 'name' | 'children'>;

/** A finding for each dependent that no planner of src/plan/attachments knows: unknown kinds block, nothing is passed over. */
export function decideDependents(dependents: readonly Dependent[], table: DependedOn): Finding[] {
  const name = `${table.schema}.${table.name}`;
  const found = new Map<string, Finding>();
  for (const dependent of dependents) {
    const verdict = judge(dependent, table, name);
    if (verdict === null) continue;
    const { id, object, message, fix } = verdict;
    found.set(`${id} ${object}`, blocker(id, object, message, fix));
  }
  const findings = [...found.values()];
  return EXAMINED.flatMap((id) => {
    const own = findings.filter((finding) => finding.id === id);
    return own.length > 0 ? own : [passed(id, name, NOTHING[id])];
  });
}

/** Catalogs whose rows sql/catalog/attachments reads by itself: each is carried there, or refused by name. */
const CARRIED: ReadonlySet<string> = new Set([
  'pg_trigger',
  'pg_rewrite',
  'pg_policy',
  'pg_proc',
  'pg_statistic_ext',
  'pg_publication_rel',
]);

function judge(dependent: Dependent, table: DependedOn, name: string): Verdict | null {
  if (CARRIED.has(dependent.catalog)) return null;
  switch (dependent.catalog) {
    case 'pg_class':
      return judgeRelation(dependent, table, name);
    case 'pg_attrdef':
      return dependent.isOwn ? null : other(dependent, name);
    case 'pg_constraint':
      return judgeConstraint(dependent, name);
    case 'pg_type':
      return dependent.dependency === 'i' ? null : rowType(dependent, name);
    default:
      return other(dependent, name);
  }
}

/** Its indexes, owned sequences and TOAST table are carried; its children are named by decideInheritance. */
function judgeRelation(dependent: Dependent, { children }: DependedOn, name: string): Verdict | null {
  const { relationKind, dependency, isOwn, onRowType, identity } = dependent;
  if (onRowType) return rowType(dependent, name);
  if ((relationKind === 'i' && isOwn) || relationKind === 't') return null;
  if (relationKind === 'S' && (dependency === 'a' || dependency === 'i')) return null;
  if (children.includes(identity)) return null;
  return other(dependent, name);
}

function judgeConstraint(dependent: Dependent, name: string): Verdict | null {
  const { constraintType, isOwn, relation } = dependent;
  if (constraintType === 'f' && (isOwn || relation !== null)) return null; // foreign keys, both ways
  if (isOwn && constraintType !== null && 'pucxnt'.includes(constraintType)) return null; // 't': a constraint trigger
  if (dependent.onRowType) return rowType(dependent, name);
  return other(dependent, name);
}

function rowType({ description, identity, relationKind }: Dependent, name: string): Verdict {
  const verdict: Verdict = { id: 'row-type', object: identity, message: `${description} is made of the row type of ${name}` };
  if (relationKind !== 'v' && relationKind !== 'm') return verdict;
  const kind = relationKind === 'v' ? 'VIEW' : 'MATERIALIZED VIEW';
  return {
    ...verdict,
    fix: `DROP ${kind} ${identity}; and make it again with columns of their own, or to_jsonb(…), instead of the whole row`,
  };
}

function other({ description, identity }: Dependent, name: string): Verdict {
  return { id: 'other-dependents', object: identity, message: `${description} depends on ${name}` };
}

/** sql/preflight/attached.sql */
export interface AttachedFacts {
  readonly subscriptions: readonly string[];
  readonly securityLabels: readonly string[];
  readonly extensionIndexes: readonly string[];
}

export function decideAttached(facts: AttachedFacts, table: QualifiedName): Finding[] {
  const name = `${table.schema}.${table.name}`;
  return [
    ...listed('subscriptions', facts.subscriptions, name, 'no subscription writes it', (subscription) => ({
      message: `subscription ${subscription} writes ${name}`,
    })),
    ...listed('security-labels', facts.securityLabels, name, 'it carries no security label', (label) => ({
      message: `security label of ${label} is not carried`,
    })),
    ...facts.extensionIndexes.map((object) => blocker('table-extension', object, `${object} of ${name} is bound to an extension`)),
  ];
}

function listed(
  id: CheckId,
  objects: readonly string[],
  table: string,
  nothing: string,
  describe: (object: string) => { readonly message: string; readonly fix?: string },
): Finding[] {
  if (objects.length === 0) return [passed(id, table, nothing)];
  return objects.map((object) => {
    const { message, fix } = describe(object);
    return blocker(id, object, message, fix);
  });
}

/** sql/preflight/sequence-dependents.sql */
export interface SequenceDependent {
  readonly sequence: string;
  readonly isIdentity: boolean;
  readonly description: string;
  readonly identity: string;
}

/** The sequence of a serial column goes on as the same object; that of an identity column is replaced. */
export function decideSequences(dependents: readonly SequenceDependent[], table: QualifiedName): Finding[] {
  if (dependents.length === 0) return [passed('shared-sequences', `${table.schema}.${table.name}`, 'nothing else uses its sequences')];
  return dependents.map(({ sequence, isIdentity, description }) =>
    isIdentity
      ? blocker(
          'shared-sequences',
          sequence,
          `${description} uses ${sequence}, the sequence of an identity column, which is replaced at the cutover`,
        )
      : warning(
          'shared-sequences',
          sequence,
          `${description} uses ${sequence}, which goes on as the same sequence`,
          `nothing needs to be done; but it keeps ${sequence} from being dropped with the table`,
        ),
  );
}
