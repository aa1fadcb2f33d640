import type { Lsn } from './lsn.ts';

/** 2000-01-01 UTC, where PostgreSQL counts from, in Unix milliseconds. */
const EPOCH_MS = 946_684_800_000;

/**
 * The Standby Status Update that tells a walsender how far its client is. https://www.postgresql.org/docs/current/protocol-replication.html
 *
 * @param lsn the byte after the last one that is durably applied, told as written, flushed and applied; 0 tells nothing and keeps the connection.
 * @param nowMs Unix milliseconds; shown as pg_stat_replication.reply_time.
 * @param wantsReply whether the walsender is to answer with a keepalive at once.
 */
export function encodeStandbyStatus(lsn: Lsn, nowMs: number, wantsReply = false): Buffer {
  const message = Buffer.alloc(34);
  message[0] = 0x72; // r
  for (const at of [1, 9, 17]) message.writeBigUInt64BE(lsn, at);
  message.writeBigInt64BE(BigInt(nowMs - EPOCH_MS) * 1000n, 25);
  message[33] = wantsReply ? 1 : 0;
  return message;
}
