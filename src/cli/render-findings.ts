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
  if (passed.length > 0) lines.push('', 'PASSED', ...passed.map(({ id, message }) => `  ${id}: ${message}`));
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

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
