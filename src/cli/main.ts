#!/usr/bin/env node
import { CommanderError } from 'commander';
import { MigratorError } from '../errors.ts';
import { nearest } from './nearest.ts';
import { buildProgram, packageVersion, type Verb } from './program.ts';
import { reportError } from './report-error.ts';

/** Each verb is loaded when it is called: `--help` and a usage error need no driver. */
const VERBS: Readonly<Record<string, () => Promise<Verb>>> = {
  check: async () => (await import('./check.ts')).check,
  plan: async () => (await import('./plan.ts')).plan,
  start: async () => (await import('./start.ts')).start,
  status: async () => (await import('./status.ts')).status,
  pause: async () => (await import('./pause.ts')).pause,
  resume: async () => (await import('./pause.ts')).resume,
  cutover: async () => (await import('./cutover.ts')).cutover,
  abort: async () => (await import('./abort.ts')).abort,
  finish: async () => (await import('./finish.ts')).finish,
  demo: async () => (await import('./demo.ts')).demo,
};

async function main(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = buildProgram(packageVersion(), async (verb, invocation) => {
    exitCode = await (await VERBS[verb]!())(invocation);
  });
  for (const command of [program, ...program.commands]) command.exitOverride().configureOutput({ outputError: () => undefined });
  if (argv.length === 0) {
    process.stderr.write(program.helpInformation());
    return 1;
  }
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help and version were asked for, and printed.
    if (error.exitCode === 0) return 0;
    throw usageError(error);
  }
}

/** commander's error in the form of all others: what it appends as "(Did you mean …?)" becomes the hint. */
function usageError(error: CommanderError): MigratorError {
  const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
  const suggestion = /\(Did you mean (.+)\?\)/.exec(rest.join(' '))?.[1];
  if (error.code === 'commander.unknownCommand') {
    const word = /'(.*)'/.exec(first)?.[1] ?? '';
    const meant = suggestion ?? nearest(word, Object.keys(VERBS));
    return new MigratorError('USAGE', `unknown verb "${word}"`, {
      hint:
        meant === null
          ? `verbs: ${Object.keys(VERBS).join(', ')}; see partitioner --help`
          : `did you mean "${meant}"? Verbs: ${Object.keys(VERBS).join(', ')}`,
    });
  }
  return new MigratorError('USAGE', first, { hint: suggestion === undefined ? 'partitioner --help' : `did you mean ${suggestion}?` });
}

// argv is public on the host (ps): a password in --database-url must not stay there.
process.title = `partitioner ${process.argv.slice(2).find((word) => word in VERBS) ?? ''}`.trim();
const json = process.argv.includes('--json');
// `partitioner … | head` closes our stdout: there is nobody left to tell.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
  throw error;
});
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error: unknown) => process.exit(reportError(error, json)));
}
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = reportError(error, json);
}
