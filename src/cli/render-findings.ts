import type { Fate } from '../plan/attachments/carried.ts';
import type { Finding } from '../actions/check.ts';

/** The findings of a check, blockers first, each with what mends it. */
export function renderFindings(table: string, findings: readonly Finding[]): string {
  const blockers = findings.filter(({ severity }) => severity === 'blocker');
  const warnings = findings.filter(({ severity }) => severity === 'warning');
  const passed = findings.filter(({ severity }) => severity === 'ok');
  const verdict = blockers.length > 0 ? 'cannot be migrated yet' : 'can be migrated';
  const lines = [
    `${table} ${verdict}: ${counted(blockers.length, 'blocker')}, ${counted(warnings.length, 'warning')}, ${passed.length} passed`,
  ];
  for (const [title, group] of [
    ['BLOCKERS', blockers],
    ['WARNINGS', warnings],
  ] as const) {
    if (group.length > 0) lines.push('', title, ...group.flatMap(renderFinding));
  }
  // Below blockers the long list would only push them off the screen.
  const shown =
    blockers.length > 0 ? wrapped([...new Set(passed.map(({ id }) => id))]) : passed.map(({ id, message }) => `  ${id}: ${message}`);
  if (passed.length > 0) lines.push('', 'PASSED', ...shown);
  return lines.join('\n');
}

function renderFinding({ id, object, message, detail, fix }: Finding): string[] {
  // The message usually names its object; it is repeated only where it does not.
  const lines = [`  ${id}: ${object === '' || message.includes(object) ? message : `${object}: ${message}`}`];
  if (detail !== undefined) lines.push(...indented('why: ', detail));
  if (fix !== undefined) lines.push(...indented('fix: ', fix));
  return lines;
}

function indented(label: string, text: string): string[] {
  return text.split('\n').map((line, i) => `      ${i === 0 ? label : ' '.repeat(label.length)}${line}`);
}

/** The words in lines of about a terminal's width. */
function wrapped(words: readonly string[]): string[] {
  const lines: string[] = [];
  for (const [i, word] of words.entries()) {
    const text = i === words.length - 1 ? word : `${word},`;
    const last = lines.at(-1);
    if (last !== undefined && last.length + text.length < 100) lines[lines.length - 1] = `${last} ${text}`;
    else lines.push(`  ${text}`);
  }
  return lines;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** The dependency map, a line an object. */
export function renderDependents(dependents: readonly Fate[]): string[] {
  if (dependents.length === 0) return [];
  return ['', 'WHAT BECOMES OF EACH OBJECT', ...dependents.map(({ kind, name, fate, how }) => `  ${kind} ${name}: ${fate}: ${how}`)];
}
