import { Command, InvalidArgumentError, Option } from 'commander';
import { existsSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { FLAGS_NOT_YET, HOOKS, INTRODUCTION, STEPS } from './help-texts.ts';
import {
  CONNECTION_SETTINGS,
  CUTOVER_SETTINGS,
  LIMIT_SETTINGS,
  PARTITION_SETTINGS,
  ROLLBACK_SETTINGS,
  START_SETTINGS,
  type Setting,
  type SettingName,
  type SettingValues,
} from './settings.ts';

/** What a verb is called with. `settings` holds only what the command line gave; the configuration file is merged later. */
export interface Invocation {
  readonly table: string | undefined;
  readonly json: boolean;
  readonly config: string | undefined;
  readonly settings: SettingValues;
  /** Flags that belong to one verb: `watch`, `whenReady`, `dropRetired`, `rows` … */
  readonly own: Readonly<Record<string, unknown>>;
}

/** A verb's work; its result is the exit code. */
export type Verb = (invocation: Invocation) => Promise<number>;

/** The whole command line. `perform` is called with the verb's name and invocation. */
export function buildProgram(version: string, perform: (verb: string, invocation: Invocation) => Promise<void>): Command {
  const program = new Command('partitioner')
    .description(INTRODUCTION)
    .usage('VERB [TABLE] [flags]')
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'print this help, or that of a verb')
    .helpCommand('help [VERB]', 'print the help of a verb')
    .configureHelp({ showGlobalOptions: true, subcommandTerm: (verb) => `${verb.name()} ${verb.usage().replace(' [flags]', '')}`.trim() })
    .addHelpText('after', STEPS);
  program.option('--config <FILE>', 'YAML or JSON file with settings; flags win over it');
  program.option('--json', 'one JSON document on stdout instead of text');
  addSettings(program, CONNECTION_SETTINGS);

  const verb = (name: string, usage: string, summary: string, more: string): Command => {
    const command = program
      .command(name)
      .usage(usage)
      .summary(summary)
      .description(`${summary[0]!.toUpperCase()}${summary.slice(1)}.${more === '' ? '' : `\n\n${more}`}`);
    if (usage.includes('TABLE')) command.argument('[TABLE]', 'schema.table; may be left out when the configuration file names one');
    command.allowExcessArguments(false);
    command.action(async () => perform(name, invocationOf(command)));
    return command;
  };

  addPartitioning(
    verb(
      'check',
      'TABLE [flags]',
      'tells whether the table can be migrated, and what mends what is in the way',
      'Changes nothing. Exit code 2 when there is a blocker.',
    ),
  );
  addPartitioning(
    verb(
      'plan',
      'TABLE [flags]',
      'prints every statement that start and cutover would run',
      'Changes nothing. Prints the leaves, the statements with their locks, what is copied in which slices, and the switch.',
    ),
  );
  const start = verb(
    'start',
    'TABLE [flags]',
    'runs the daemon that copies the rows and follows the changes',
    'Checks first, and leaves nothing behind when the check refuses. Started again after any death, it resumes where it was. ' +
      'SIGTERM and Ctrl-C end it in an orderly way (exit code 0). A second daemon stands by. It waits for the cutover.',
  );
  addPartitioning(start);
  addSettings(start, START_SETTINGS);
  addSettings(start, LIMIT_SETTINGS);
  verb(
    'status',
    '[TABLE] [flags]',
    'shows phase, units, rows, lag, slot, what it waits for, and when it will be done',
    'Without TABLE every migration, or those of the tables that the configuration file lists. With --json one document: an object for one migration, an array for several.',
  ).option('--watch', 'redraw every second until Ctrl-C; with --json one document per line');
  verb('pause', 'TABLE [flags]', 'stops the copy; changes are still followed', '');
  verb('resume', 'TABLE [flags]', 'goes on with the copy; after a slot was dropped to save the disk: makes it anew', '');
  addSettings(
    verb(
      'throttle',
      'TABLE [flags]',
      'sets limits that keep the copy beside the application, at once',
      'Without a limit it prints those that hold. They are kept until the migration ends: a start that is given the same flags as the one before changes nothing.',
    ),
    LIMIT_SETTINGS,
  );
  verb(
    'verify',
    'TABLE [flags]',
    'compares source and target anew, all of it, and prints every key that differs',
    'The daemon compares all the while; this has it begin a full pass, and waits for its end. Ctrl-C leaves the pass going. Exit code 6 when a key differs.',
  ).option('--repair', 'have the daemon read the keys that differ again from the source, then compare all of it once more');
  const cutover = verb(
    'cutover',
    'TABLE [flags]',
    'switches the application over to the partitioned table',
    'Needs the phase "ready" and a running daemon. Each attempt waits for its locks no longer than --lock-timeout; when something is in the way it releases everything, tries again, and tells whom it waits for. Ctrl-C calls it off. Prints the receipt.\n\n' +
      HOOKS,
  );
  addSettings(cutover, { ...CUTOVER_SETTINGS, decide: PARTITION_SETTINGS.decide });
  cutover.option('--no-way-back', 'do not keep the retired table exact: no second slot, and no rollback');
  cutover.option('--when-ready', 'wait until the phase is "ready" instead of refusing');
  cutover.option(
    '--dry-run',
    'rehearse: locks, fence and every statement of the switch, then roll it all back; the exit codes are the same',
  );
  const rollback = verb(
    'rollback',
    'TABLE [flags]',
    'switches the application back to the un-partitioned table, with everything written since',
    'After a cutover, until finish. Needs a running daemon, which has kept the retired table exact. The same locks, limits and receipt as the cutover; afterwards the partitioned table follows again, and cutover may come again.\n\n' +
      HOOKS,
  );
  addSettings(rollback, ROLLBACK_SETTINGS);
  verb(
    'abort',
    'TABLE [flags]',
    'before the cutover: removes every object that start made',
    'The source is left as it was. Works with and without a running daemon.',
  );
  verb('finish', 'TABLE [flags]', 'after the cutover: removes slot, publication and bookkeeping', '').option(
    '--drop-retired',
    'drop the retired table too; without it the old table stays',
  );
  verb(
    'demo',
    '[flags]',
    'shows the whole way on an embedded PostgreSQL under a running load',
    'Ends with a comparison that does not rely on the tool. With --database-url, or that of a configuration file, it takes that server, makes two databases of its own there and drops them.',
  )
    .addOption(ownOption('rows', 'N', 'rows of the table (default: 500000)', 1, 1_000_000_000))
    .addOption(ownOption('rate', 'N', 'changes a second (default: 500)', 0, 1_000_000))
    .addOption(ownOption('seconds', 'S', 'how long to go on writing after the cutover (default: 5)', 0, 86_400));
  return program;
}

function addPartitioning(command: Command): void {
  addSettings(command, PARTITION_SETTINGS);
  refuse(command, 'list', '<COLUMN>');
  refuse(command, 'hash', '<COLUMN>');
  refuse(command, 'modulus', '<N>');
  refuse(command, 'default-partition', '');
}

function addSettings(command: Command, settings: Record<string, Setting<unknown>>): void {
  for (const [name, setting] of Object.entries(settings)) {
    const { placeholder, help, parse } = setting;
    const option = new Option(`--${name} <${placeholder}>`, help);
    command.addOption(
      option.argParser((value, before: unknown) => {
        const parsed = checked(parse, value);
        if (before === undefined) return parsed;
        if (setting.merge) return setting.merge(before, parsed);
        // Which of two values was meant nobody can tell; the same one twice is none of our business.
        if (isDeepStrictEqual(before, parsed)) return parsed;
        throw new InvalidArgumentError(name === 'database-url' ? 'it is given twice' : `it is given twice, the second time as "${value}"`);
      }),
    );
  }
}

/** commander names the flag and the value, the parser says what is expected. */
function checked<T>(parse: (value: string) => T, value: string): T {
  try {
    return parse(value);
  } catch (error) {
    throw error instanceof RangeError ? new InvalidArgumentError(error.message) : error;
  }
}

function refuse(command: Command, name: string, argument: string): void {
  const option = new Option(`--${name} ${argument}`.trim()).hideHelp();
  command.addOption(option);
  command.on(`option:${name}`, () => command.error(`error: ${FLAGS_NOT_YET[name]!}`));
}

function ownOption(name: string, placeholder: string, help: string, least: number, most: number): Option {
  return new Option(`--${name} <${placeholder}>`, help).argParser((value) => {
    const parsed = Number(value);
    if (!/^\d+$/.test(value) || parsed < least || parsed > most)
      throw new InvalidArgumentError(`"${value}" is no whole number from ${least} to ${most}`);
    return parsed;
  });
}

function invocationOf(command: Command): Invocation {
  const values = command.optsWithGlobals<Record<string, unknown>>();
  const settings: Record<string, unknown> = {};
  const own: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(values)) {
    const name = key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    // commander makes '' of a parser's null (`off`); no setting takes an empty text.
    if (name in SETTING_NAMES) settings[name] = value === '' ? null : value;
    else own[key] = value;
  }
  return {
    table: command.args[0],
    json: own['json'] === true,
    config: typeof own['config'] === 'string' ? own['config'] : undefined,
    settings,
    own,
  };
}

const SETTING_NAMES: Readonly<Record<SettingName, unknown>> = {
  ...CONNECTION_SETTINGS,
  ...PARTITION_SETTINGS,
  ...START_SETTINGS,
  ...LIMIT_SETTINGS,
  ...CUTOVER_SETTINGS,
};

/** The package's version, from the package.json above this file: its distance differs between the sources and the built package. */
export function packageVersion(): string {
  for (let folder = new URL('.', import.meta.url); ; folder = new URL('..', folder)) {
    const file = new URL('package.json', folder);
    if (existsSync(file)) return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
    if (folder.pathname === '/') return 'unknown';
  }
}
