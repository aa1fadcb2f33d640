import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { explainNoStream } from '../../src/actions/way-back.ts';
import { untilReady, type Switching } from '../../src/daemon/assert-ready.ts';
import { ExclusiveCommand } from '../../src/daemon/exclusive-command.ts';
import type { MigratorError } from '../../src/errors.ts';

const SOURCE = { schema: 'app', name: 'Events' };
const WORD = `'app."Events"'`;

type State = Partial<{ units: readonly string[]; owedIndexes: number; anomalies: number; checked: number; differences: number }>;

/** What the switch needs to know, with everything in order but for what is given. */
function switching(direction: 'cutover' | 'rollback', given: State): Switching {
  const { units = ['live'], owedIndexes = 0, anomalies = 0, checked = 3, differences = 0 } = given;
  return {
    applier: { session: { units: new Map(units.map((state, i) => [i, state])), owedIndexes, anomalies, repair: new Map() } },
    migration: { source: SOURCE },
    wayBack: direction === 'rollback' ? {} : null,
    verifier: { state: { checked, total: 3, isSoon: false, tainted: differences > 0, differences } },
  } as unknown as Switching;
}

const refusal = async (direction: 'cutover' | 'rollback', given: State): Promise<MigratorError> =>
  untilReady(switching(direction, given), new AbortController().signal).then(
    () => Promise.reject(new Error('it was not refused')),
    (error: unknown) => error as MigratorError,
  );

describe('what is not ready, and what to do about it', () => {
  const LATER = {
    cutover: `partitioner status ${WORD} --watch, until the phase is ready`,
    rollback: `partitioner rollback ${WORD} again in a moment: the daemon goes on with it`,
  };
  it.each([
    [{ units: ['live', 'loading'] }, 'WRONG_PHASE', LATER],
    [{ owedIndexes: 1 }, 'WRONG_PHASE', LATER],
    [{ checked: 2 }, 'WRONG_PHASE', LATER],
    [{ anomalies: 1 }, 'DIFFERENCE', { cutover: `partitioner abort ${WORD}, and`, rollback: `partitioner finish ${WORD}, and` }],
    [{ differences: 1 }, 'DIFFERENCE', { cutover: `partitioner verify ${WORD} --repair`, rollback: `partitioner finish ${WORD}` }],
  ] as const)('%j: %s', async (given, code, hints) => {
    for (const direction of ['cutover', 'rollback'] as const)
      expect(await refusal(direction, given)).toMatchObject({ code, hint: expect.stringContaining(hints[direction]) as string });
  });
});

describe('the stream of the other direction cannot be made', () => {
  const failed = (code: string): Error => Object.assign(new pg.DatabaseError('no', 0, 'error'), { code });
  it.each([
    ['53400', 'cutover', 'raise max_replication_slots and max_wal_senders by one (restart), or cutover --no-way-back'],
    ['53400', 'rollback', 'raise max_replication_slots and max_wal_senders by one (restart)'],
    [
      '42501',
      'cutover',
      'give the role what the message names (REPLICATION, CREATE on the database, ownership of the table), or cutover --no-way-back',
    ],
    ['42501', 'rollback', 'give the role what the message names (REPLICATION, CREATE on the database, ownership of the table)'],
  ] as const)('%s of a %s', (code, verb, hint) => {
    expect(explainNoStream(failed(code), verb)).toMatchObject({ code: 'PREFLIGHT_REFUSED', detail: 'nothing was switched', hint });
  });

  it('of another cause is that error', () => {
    const error = failed('57014');
    expect(explainNoStream(error, 'rollback')).toBe(error);
  });
});

it('a command beside a cutover is told whose status to look at', async () => {
  const exclusive = new ExclusiveCommand();
  const command = { id: '1', verb: 'cutover', arguments: {}, requested_by: 'ann', since: '12:00' };
  await exclusive.run(command, () => {
    expect(exclusive.refusal({ ...command, verb: 'pause' }, SOURCE, null)).toMatchObject({
      message: 'a cutover of app.Events is running since 12:00, asked for by ann: no pause now',
      hint: `partitioner status ${WORD} --watch, and again when it has ended`,
    });
    return Promise.resolve();
  });
});
