import { quoteIdent, quoteName, type QualifiedName } from '../../domain/identifier.ts';
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

const EXAMINED = [
  'foreign-keys-out',
  'foreign-keys-in',
  'triggers',
  'rules',
  'views',
  'functions',
  'row-type',
  'policies-elsewhere',
  'extended-statistics',
  'other-dependents',
] as const satisfies readonly CheckId[];

/** A finding for each dependent that is not carried, and what was found free of them. */
export function decideDependents(dependents: readonly Dependent[], table: TableFacts): Finding[] {
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

const NOTHING: Readonly<Record<(typeof EXAMINED)[number], string>> = {
  'foreign-keys-out': 'it references no other table',
  'foreign-keys-in': 'no other table references it',
  triggers: 'it has no trigger',
  rules: 'it has no rule',
  views: 'no view reads it',
  functions: 'no function is bound to it or to its row type',
  'row-type': 'nothing is made of its row type',
  'policies-elsewhere': "no other table's policy reads it",
  'extended-statistics': 'it has no extended statistics',
  'other-dependents': 'nothing else depends on it',
};

function judge(dependent: Dependent, table: TableFacts, name: string): Verdict | null {
  switch (dependent.catalog) {
    case 'pg_class':
      return judgeRelation(dependent, table, name);
    case 'pg_attrdef':
      return dependent.isOwn ? null : other(dependent, name);
    case 'pg_constraint':
      return judgeConstraint(dependent, table, name);
    case 'pg_trigger':
      return judgeTrigger(dependent, name);
    case 'pg_rewrite':
      return judgeRule(dependent, name);
    case 'pg_policy':
      return judgePolicy(dependent, name);
    case 'pg_proc':
      return {
        id: 'functions',
        object: dependent.identity,
        message: `function ${dependent.identity} ${dependent.onRowType ? `uses the row type of ${name}` : `reads ${name}`}`,
        fix: `DROP ROUTINE ${dependent.identity}; and make it again after the cutover`,
      };
    case 'pg_statistic_ext':
      return {
        id: 'extended-statistics',
        object: dependent.identity,
        message: `extended statistics ${dependent.identity} are not carried yet`,
        fix: `DROP STATISTICS ${dependent.identity}; and make them again after the cutover`,
      };
    case 'pg_publication_rel': // decidePublications names the publication
      return null;
    case 'pg_type':
      return dependent.dependency === 'i' ? null : rowType(dependent, name);
    default:
      return other(dependent, name);
  }
}

/** Its indexes, owned sequences and TOAST table are carried; its children are named by decideInheritance. */
function judgeRelation(dependent: Dependent, { children }: TableFacts, name: string): Verdict | null {
  const { relationKind, dependency, isOwn, onRowType, identity } = dependent;
  if (onRowType) return rowType(dependent, name);
  if ((relationKind === 'i' && isOwn) || relationKind === 't') return null;
  if (relationKind === 'S' && (dependency === 'a' || dependency === 'i')) return null;
  if (children.includes(identity)) return null;
  return other(dependent, name);
}

function judgeConstraint(dependent: Dependent, table: QualifiedName, name: string): Verdict | null {
  const { constraintType, constraintName, isOwn, relation } = dependent;
  if (constraintType === 'f' && isOwn) {
    return {
      id: 'foreign-keys-out',
      object: constraintName!,
      message: `foreign key ${constraintName!} of ${name} is not carried yet`,
      fix: `ALTER TABLE ${quoteName(table)} DROP CONSTRAINT ${quoteIdent(constraintName!)};`,
    };
  }
  if (constraintType === 'f' && relation !== null) {
    return {
      id: 'foreign-keys-in',
      object: `${relation}.${constraintName!}`,
      message: `foreign key ${constraintName!} of ${relation} references ${name}`,
      fix: `ALTER TABLE ${relation} DROP CONSTRAINT ${quoteIdent(constraintName!)};`,
    };
  }
  if (isOwn && constraintType !== null && 'pucxn'.includes(constraintType)) return null;
  if (isOwn && constraintType === 't') return null; // a constraint trigger: named as a trigger
  if (dependent.onRowType) return rowType(dependent, name);
  return other(dependent, name);
}

/** Internal triggers belong to foreign keys, which are named themselves. */
function judgeTrigger({ isInternalTrigger, name: trigger, relation, isOwn, identity }: Dependent, name: string): Verdict | null {
  if (isInternalTrigger) return null;
  const on = relation ?? identity;
  return {
    id: 'triggers',
    object: `${on}.${trigger ?? identity}`,
    message: isOwn
      ? `trigger ${trigger ?? identity} of ${name} is not carried yet`
      : `constraint trigger ${trigger ?? identity} of ${on} names ${name}`,
    fix: `DROP TRIGGER ${quoteIdent(trigger ?? identity)} ON ${on};`,
  };
}

function judgeRule({ ruleRelationKind, relation, name: rule, isOwn, identity }: Dependent, name: string): Verdict {
  const on = relation ?? identity;
  if (ruleRelationKind === 'v' || ruleRelationKind === 'm') {
    const kind = ruleRelationKind === 'v' ? 'view' : 'materialized view';
    return {
      id: 'views',
      object: on,
      message: `${kind} ${on} reads ${name}`,
      fix: `DROP ${kind.toUpperCase()} ${on}; and make it again after the cutover`,
    };
  }
  return {
    id: 'rules',
    object: `${on}.${rule ?? identity}`,
    message: isOwn ? `rule ${rule ?? identity} of ${name} is not carried yet` : `rule ${rule ?? identity} of ${on} uses ${name}`,
    fix: `DROP RULE ${quoteIdent(rule ?? identity)} ON ${on};`,
  };
}

/** The table's own policies are named by decideRowSecurity. */
function judgePolicy({ isOwn, relation, name: policy, identity }: Dependent, name: string): Verdict | null {
  if (isOwn) return null;
  const on = relation ?? identity;
  return {
    id: 'policies-elsewhere',
    object: `${on}.${policy ?? identity}`,
    message: `policy ${policy ?? identity} of ${on} reads ${name}`,
    fix: `DROP POLICY ${quoteIdent(policy ?? identity)} ON ${on}; and make it again after the cutover`,
  };
}

function rowType({ description, identity }: Dependent, name: string): Verdict {
  return { id: 'row-type', object: identity, message: `${description} is made of the row type of ${name}` };
}

function other({ description, identity }: Dependent, name: string): Verdict {
  return { id: 'other-dependents', object: identity, message: `${description} depends on ${name}` };
}

export function decideRowSecurity({ rowSecurity, rowSecurityForced, ...table }: TableFacts, dependents: readonly Dependent[]): Finding[] {
  const name = `${table.schema}.${table.name}`;
  const policies = dependents.filter(({ catalog, isOwn }) => catalog === 'pg_policy' && isOwn);
  const findings = [...new Set(policies.map(({ name: policy }) => policy!))].map((policy) =>
    blocker(
      'row-security',
      `${name}.${policy}`,
      `policy ${policy} of ${name} is not carried yet`,
      `DROP POLICY ${quoteIdent(policy)} ON ${quoteName(table)};`,
    ),
  );
  if (rowSecurity || rowSecurityForced) {
    findings.push(
      blocker(
        'row-security',
        name,
        `row security of ${name} is ${rowSecurity ? 'enabled' : 'forced'}`,
        `ALTER TABLE ${quoteName(table)} DISABLE ROW LEVEL SECURITY${rowSecurityForced ? ', NO FORCE ROW LEVEL SECURITY' : ''};`,
      ),
    );
  }
  return findings.length > 0 ? findings : [passed('row-security', name, 'row security is off and there is no policy')];
}

/** sql/preflight/attached.sql */
export interface AttachedFacts {
  /** Publications that have the table, for whatever reason. */
  readonly publications: readonly string[];
  readonly allTablesPublications: readonly string[];
  readonly subscriptions: readonly string[];
  readonly securityLabels: readonly string[];
  readonly extensionIndexes: readonly string[];
}

/** `ours` is the publication of the open migration, if there is one. */
export function decideAttached(facts: AttachedFacts, dependents: readonly Dependent[], table: QualifiedName, ours?: string): Finding[] {
  const name = `${table.schema}.${table.name}`;
  const explicit = new Set(
    dependents
      .filter(({ catalog }) => catalog === 'pg_publication_rel')
      .map(({ identity }) => / in publication (.*)$/.exec(identity)?.[1] ?? identity),
  );
  return [
    ...listed(
      'publications',
      facts.publications.filter((publication) => publication !== ours),
      name,
      'no publication has it',
      (publication) => {
        const how = facts.allTablesPublications.includes(publication)
          ? ' (FOR ALL TABLES)'
          : explicit.has(quoteIfNeeded(publication))
            ? ''
            : ' (of its schema)';
        const fix =
          how === ''
            ? `ALTER PUBLICATION ${quoteIdent(publication)} DROP TABLE ${quoteName(table)};`
            : how === ' (of its schema)'
              ? `ALTER PUBLICATION ${quoteIdent(publication)} DROP TABLES IN SCHEMA ${quoteIdent(table.schema)};`
              : `DROP PUBLICATION ${quoteIdent(publication)}; or make it again FOR TABLE … without this one`;
        return { message: `publication ${publication}${how} has ${name}`, fix };
      },
    ),
    ...listed('subscriptions', facts.subscriptions, name, 'no subscription writes it', (subscription) => ({
      message: `subscription ${subscription} writes ${name}`,
    })),
    ...listed('security-labels', facts.securityLabels, name, 'it carries no security label', (label) => ({
      message: `security label of ${label} is not carried`,
    })),
    ...facts.extensionIndexes.map((object) => blocker('table-extension', object, `${object} of ${name} is bound to an extension`)),
  ];
}

/** pg_identify_object writes names as quote_identifier does. */
function quoteIfNeeded(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : quoteIdent(name);
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
