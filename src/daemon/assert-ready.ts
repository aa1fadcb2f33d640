import { setTimeout as sleep } from 'node:timers/promises';
import { tableWord } from '../domain/command-word.ts';
import { MigratorError } from '../errors.ts';
import type { Migration } from '../pg/control-store.ts';
import type { Applier } from './applier.ts';
import type { Verifier } from './verifier.ts';

export interface Switching {
  readonly applier: Applier;
  readonly migration: Migration;
  readonly wayBack: object | null;
  readonly verifier: Pick<Verifier, 'state'>;
}

const SOON_MS = { most: 10_000, look: 50 };

/** Waits for a comparison that is a matter of moments (of a leaf that the stream has just made), and asserts what must hold for the switch. */
export async function untilReady(switching: Switching, signal: AbortSignal): Promise<void> {
  const isMissing = (): boolean => {
    const { checked, total, isSoon } = switching.verifier.state;
    return isSoon && checked < total;
  };
  for (let waited = 0; waited < SOON_MS.most && isMissing(); waited += SOON_MS.look) {
    await sleep(SOON_MS.look, undefined, { signal }).catch(() => undefined);
    signal.throwIfAborted();
  }
  assertReady(switching);
}

/** What must hold for the switch, apart from the lag: the fence proves that. */
function assertReady(switching: Switching): void {
  assertSound(switching);
  const { checked, total } = switching.verifier.state;
  if (checked < total) throw incomplete(switching, checked, total);
}

/**
 * The same under the lock. A leaf that the stream has made since needs no comparison of its own: whatever is in it was logged when it was written,
 * and what is logged is proven.
 */
export function assertStillReady(switching: Switching): void {
  assertSound(switching);
  const { checked, total, isSoon } = switching.verifier.state;
  if (checked < total && !isSoon) throw incomplete(switching, checked, total);
}

function incomplete(switching: Switching, checked: number, total: number): MigratorError {
  const { schema, name } = switching.migration.source;
  return new MigratorError('WRONG_PHASE', `${checked} of ${total} parts of ${schema}.${name} are compared`, { hint: later(switching) });
}

/** For what passes by itself. While the way back is followed the phase stays `switched`: there is none to wait for. */
function later({ migration: { source }, wayBack }: Switching): string {
  const table = tableWord(source);
  return wayBack
    ? `partitioner rollback ${table} again in a moment: the daemon goes on with it`
    : `partitioner status ${table} --watch, until the phase is ready`;
}

function assertSound(switching: Switching): void {
  const { migration, wayBack, verifier } = switching;
  const { session } = switching.applier;
  const name = `${migration.source.schema}.${migration.source.name}`;
  const table = tableWord(migration.source);
  const waiting = [...session.units.values()].filter((state) => state !== 'live').length;
  if (waiting > 0) {
    throw new MigratorError('WRONG_PHASE', `${waiting} of ${session.units.size} units of ${name} are not live yet`, {
      hint: later(switching),
    });
  }
  if (session.owedIndexes > 0) {
    throw new MigratorError('WRONG_PHASE', `${session.owedIndexes} indexes of ${name} that came meanwhile are not built yet`, {
      hint: later(switching),
    });
  }
  if (session.anomalies > 0) {
    throw new MigratorError('DIFFERENCE', `${session.anomalies} changes of ${name} did not hit exactly one row of the target`, {
      detail: 'source and target differ; nothing was switched',
      hint: `partitioner ${wayBack ? 'finish' : 'abort'} ${table}, and report it`,
    });
  }
  if (session.repair.size > 0)
    throw new MigratorError('LAG_TOO_HIGH', `${session.repair.size} keys of ${name} are still to be repaired`, {
      hint: 'try again in a moment',
    });
  const { tainted, differences } = verifier.state;
  if (differences > 0 || tainted) {
    throw new MigratorError(
      'DIFFERENCE',
      differences > 0 ? `${differences} keys of ${name} differ` : `differences of ${name} were found, and no full pass has begun since`,
      { detail: 'nothing was switched', hint: `partitioner ${wayBack ? 'finish' : 'verify'} ${table}${wayBack ? '' : ' --repair'}` },
    );
  }
}
