import { tableWord } from '../domain/command-word.ts';
import type { QualifiedName } from '../domain/identifier.ts';
import { MigratorError } from '../errors.ts';

/** A row of the command table that this daemon has taken. */
export interface Command {
  readonly id: string;
  readonly verb: string;
  readonly arguments: Record<string, unknown>;
  readonly requested_by: string;
  /** When it was taken, for people. */
  readonly since: string;
}

/** Commands that run for a while, beside which no other may. */
const EXCLUSIVE: ReadonlySet<string> = new Set(['cutover', 'rollback']);

export function isExclusive({ verb }: Command): boolean {
  return EXCLUSIVE.has(verb);
}

/** What runs now. The commands that come meanwhile are refused at once instead of waiting for its end, and one of them calls it off. */
export class ExclusiveCommand {
  #running: { readonly command: Command; readonly calledOff: AbortController } | null = null;

  /** Runs it; the signal says that it was called off. Only when nothing else does. */
  async run<T>(command: Command, use: (calledOff: AbortSignal) => Promise<T>): Promise<T> {
    const calledOff = new AbortController();
    this.#running = { command, calledOff };
    try {
      return await use(calledOff.signal);
    } finally {
      this.#running = null;
    }
  }

  /** Calls off the command with this id, if it runs. */
  callOff(id: unknown): void {
    if (this.#running?.command.id !== String(id)) return;
    this.#running.calledOff.abort(
      new MigratorError('WRONG_PHASE', `the ${this.#running.command.verb} was called off; nothing was switched`),
    );
  }

  /** Why this one cannot be performed now; null when it can. */
  refusal({ verb }: Command, source: QualifiedName, waiting: string | null): MigratorError | null {
    if (this.#running === null) return null;
    const { command } = this.#running;
    const what = command.arguments.dryRun === true ? `a rehearsal of the ${command.verb}` : `a ${command.verb}`;
    return new MigratorError(
      'WRONG_PHASE',
      `${what} of ${source.schema}.${source.name} is running since ${command.since}, asked for by ${command.requested_by}: no ${verb} now`,
      {
        detail: waiting ?? undefined,
        hint: `partitioner status ${tableWord(source)} --watch, and again when it has ended`,
      },
    );
  }
}
