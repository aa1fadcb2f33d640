import { formatBytes, formatCount, formatDuration } from '../domain/quantity.ts';
import type { Status } from './status.ts';

/**
 * One migration in one line:
 * `app.events backfill 12/26 units, 3.1M/5.0M rows (62%), lag 1.2 MB / 0.4 s, slot 3.0 MB retained, waiting: …, ETA 2 min`.
 */
export function statusLine(status: Status): string {
  const { source, phase, units, rows, lag, slot } = status;
  const parts = [`${source} ${phase} ${units.live}/${units.total} units`];
  // The estimate comes from the statistics: what is copied may well exceed it.
  const percent = rows.estimated > 0 ? Math.min(100, Math.floor((rows.copied * 100) / rows.estimated)) : 100;
  if (rows.estimated > 0 || rows.copied > 0)
    parts.push(`${formatCount(rows.copied)}/${formatCount(Math.max(rows.estimated, rows.copied))} rows (${percent}%)`);
  if (lag) parts.push(`lag ${formatBytes(lag.bytes)} / ${formatDuration(lag.seconds)}`);
  if (slot) {
    const danger = slot.walStatus === 'unreserved' || slot.walStatus === 'lost' ? ` (${slot.walStatus})` : '';
    parts.push(`slot ${formatBytes(slot.retainedBytes)} retained${danger}`);
  }
  const { verified } = status;
  if (verified.differences > 0 || verified.tainted) parts.push(`${verified.differences} DIFFERENCES (partitioner verify)`);
  else if (verified.units < verified.total && (phase === 'backfill' || phase === 'catchup'))
    parts.push(`${verified.units}/${verified.total} verified`);
  const { after } = status;
  if (after.total > 0)
    parts.push(
      `${after.done}/${after.total} steps after the switch${after.failed > 0 ? ` (${after.failed} FAILED: see partitioner.after_step)` : ''}`,
    );
  if (status.recovery) parts.push(status.recovery.held ? 'SLOT DROPPED' : `SLOT LOST, ${status.recovery.keys} keys differed so far`);
  const { wayBack } = status;
  if (wayBack?.open === true) parts.push('way back open');
  else if (wayBack && wayBack.reason !== null) parts.push(`no way back: ${wayBack.reason}`);
  if (status.anomalies > 0) parts.push(`${status.anomalies} ANOMALIES`);
  if (status.paused) parts.push('paused');
  if (status.failure) parts.push(`failed: ${status.failure.message}`);
  if (status.waiting !== null) parts.push(`waiting: ${status.waiting}`);
  if (status.eta !== null) parts.push(`ETA ${formatDuration(status.eta)}`);
  return parts.join(', ');
}
