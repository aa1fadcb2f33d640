#!/usr/bin/env node
import { CommanderError } from 'commander';
import { MigratorError } from '../errors.ts';
import { VERBS_NOT_YET } from './help-texts.ts';
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
  throttle: async () => (await import('./throttle.ts')).throttle,
  verify: async () => (await import('./verify.ts')).verify,
  cutover: async () => (await import('./cutover.ts')).cutover,
  rollback: async () => (await import('./rollback.ts')).rollback,
  abort: async () => (await import('./abort.ts')).abort,
  finish: async () => (await import('./finish.ts')).finish,
  demo: async () => (await import('./demo.ts')).demo,
};

async function main(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = buildProgram(packageVersion(), async (verb, invocation) => {
    exitCode = await (await VERBS[verb]!())(invocation);
  });
  for (const command of [program, ...program.commands]) command.exitOverride().configureOutput({ writeErr: () => undefined });
  if (argv.length === 0) {
    program.configureOutput({ writeErr: (text) => process.stderr.write(text) }).outputHelp({ error: true });
    return 1;
  }
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help and version were asked for, and printed.
    if (error.exitCode === 0) return 0;
    throw usageError(error, argv);
  }
}

/** commander's error in the form of all others: what it appends as "(Did you mean …?)" becomes the hint. */
function usageError(error: CommanderError, argv: readonly string[]): MigratorError {
  const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
  const suggestion = /\(Did you mean (.+)\?\)/.exec(rest.join(' '))?.[1];
  const words = argv.filter((word) => !word.startsWith('-'));
  if (error.code === 'commander.help')
    return words[0] === 'help' ? unknownVerb(words[1] ?? '') : new MigratorError('USAGE', 'missing verb', { hint: VERB_HINT });
  if (error.code === 'commander.unknownCommand') return unknownVerb(/'(.*)'/.exec(first)?.[1] ?? '', suggestion);
  const invalid = /^option '(--[a-z-]+).*' argument '[^]*' is invalid\. ([^]*)$/.exec(first);
  return new MigratorError('USAGE', invalid ? `${invalid[1]!}: ${invalid[2]!}` : first, {
    hint:
      suggestion === undefined
        ? ['partitioner', ...words.slice(0, 1).filter((word) => word in VERBS), '--help'].join(' ')
        : `did you mean ${suggestion}?`,
  });
}

const VERB_HINT = `verbs: ${Object.keys(VERBS).join(', ')}; see partitioner --help`;

function unknownVerb(word: string, suggestion?: string): MigratorError {
  if (Object.hasOwn(VERBS_NOT_YET, word)) return new MigratorError('USAGE', VERBS_NOT_YET[word]!, { hint: VERB_HINT });
  const meant = suggestion ?? nearest(word, Object.keys(VERBS));
  return new MigratorError('USAGE', `unknown verb "${word}"`, {
    hint: meant === null ? VERB_HINT : `did you mean "${meant}"? ${VERB_HINT}`,
  });
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
