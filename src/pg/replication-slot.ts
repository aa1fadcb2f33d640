import type pg from 'pg';
import { formatLsn, parseLsn, type Lsn } from '../domain/lsn.ts';
import { MigratorError } from '../errors.ts';
import { loadSql } from '../sql/load.ts';
import { sqlState, toMigratorError } from './client.ts';

interface SlotRow {
  readonly slot_name: string;
  readonly plugin: string | null;
  readonly active_pid: number | null;
  readonly confirmed_flush_lsn: string | null;
  readonly wal_status: string | null;
}

interface StartOptions {
  readonly slotName: string;
  readonly startLsn: Lsn;
  readonly waitMs: number;
  readonly isStopped: () => boolean;
  /** Called once, when the slot has another reader. */
  readonly onWait: (pid: number | null) => void;
  /** Runs START_REPLICATION, which ends with the stream. */
  readonly start: (confirmedLsn: Lsn) => Promise<unknown>;
}

const FIRST_DELAY_MS = 25;
const MAX_DELAY_MS = 500;

/** Starts the stream of a slot, and waits while the slot has another reader: it stays active for a moment after one has gone. */
export async function startWhenFree(walsender: pg.Client, options: StartOptions): Promise<void> {
  const { slotName, startLsn, waitMs, isStopped, onWait, start } = options;
  const deadline = performance.now() + waitMs;
  for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(delayMs * 2, MAX_DELAY_MS)) {
    const slot = await fetchUsableSlot(walsender, slotName, startLsn);
    try {
      await start(slot.confirmedLsn);
      return;
    } catch (error) {
      if (isStopped() || sqlState(error) !== '55006') throw error;
      const pid = (await listSlots(walsender)).find(({ slot_name: name }) => name === slotName)?.active_pid ?? null;
      if (performance.now() + delayMs > deadline) throw slotTaken(slotName, pid, waitMs, error);
      if (delayMs === FIRST_DELAY_MS) onWait(pid);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      if (isStopped()) throw error;
    }
  }
}

/** Throws SLOT_LOST when the slot cannot serve every change from the start position on. */
async function fetchUsableSlot(walsender: pg.Client, slotName: string, startLsn: Lsn): Promise<{ confirmedLsn: Lsn }> {
  const slot = (await listSlots(walsender)).find(({ slot_name: name }) => name === slotName);
  if (!slot) throw slotLost(slotName, 'there is no slot of this name');
  if (slot.plugin !== 'pgoutput') throw slotLost(slotName, `its plugin is ${slot.plugin ?? 'none (a physical slot)'}, not pgoutput`);
  if (slot.wal_status === 'lost') throw slotLost(slotName, 'the WAL that it needs was removed (max_slot_wal_keep_size)');
  const confirmedLsn = slot.confirmed_flush_lsn === null ? 0n : parseLsn(slot.confirmed_flush_lsn);
  // The server would quietly begin at the later of the two.
  if (startLsn !== 0n && confirmedLsn > startLsn) {
    throw slotLost(slotName, `it stands at ${formatLsn(confirmedLsn)}, past the applied position ${formatLsn(startLsn)}`);
  }
  return { confirmedLsn };
}

async function listSlots(walsender: pg.Client): Promise<SlotRow[]> {
  return (await walsender.query<SlotRow>(loadSimpleSql('replication/list-slots'))).rows;
}

/** A statement for the walsender's simple protocol. Before PostgreSQL 15 its grammar takes no comment in front of a statement. */
export function loadSimpleSql(name: string): string {
  return loadSql(name).replace(/^--.*\n/gm, '');
}

/** What becomes of an error of the stream: SLOT_LOST when it would come again, else POSTGRES. */
export function explainStreamError(error: unknown, slotName: string): MigratorError {
  const wrapped = toMigratorError(error, `reading slot "${slotName}"`);
  switch (sqlState(error)) {
    case '42704': // the slot is gone, or the publication was not there yet in the WAL that is decoded
    case '55000': // the slot was invalidated, or is not of this database
    case '58P01': // a WAL file was removed
      return slotLost(slotName, wrapped.message, error);
    default:
      return wrapped;
  }
}

function slotLost(slotName: string, detail: string, cause?: unknown): MigratorError {
  return new MigratorError('SLOT_LOST', `slot "${slotName}" cannot go on: changes may be missing`, {
    detail,
    hint: 'before the cutover the daemon makes it anew and compares everything; after it the way back ends',
    cause,
  });
}

function slotTaken(slotName: string, pid: number | null, waitMs: number, cause: unknown): MigratorError {
  return new MigratorError('POSTGRES', `slot "${slotName}" has had another reader for ${waitMs} ms${pid === null ? '' : `: pid ${pid}`}`, {
    detail: 'SQLSTATE 55006',
    hint:
      pid === null
        ? 'start again'
        : `stop it if it is a second daemon; a dead client's goes after wal_sender_timeout, or with: select pg_terminate_backend(${pid})`,
    cause,
  });
}
