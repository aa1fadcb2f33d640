import { Observable } from 'rxjs';
import type { Lsn } from '../domain/lsn.ts';
import { invariant } from '../errors.ts';
import { WalReceiver, type ReplicationEvent, type WalReceiverOptions } from '../pg/replication.ts';

export type { ReplicationEvent } from '../pg/replication.ts';

export interface Replication {
  /**
   * What each read of the socket brought, in order. Cold: subscribing connects, unsubscribing closes. One subscription only, since the
   * credit and the confirmed position are those of one connection: to retry, open again from the applied position.
   * Completes after stop(), errors with a MigratorError (SLOT_LOST when the slot is of no use any more, else POSTGRES).
   */
  readonly events$: Observable<ReplicationEvent[]>;
  /** Gives credit back for events that are no longer held; their `bytes` as they came. */
  release(messages: number, bytes: number): void;
  /** Tells the server that every transaction up to here is durably applied: a commit's endLsn, or the position of an idle keepalive. */
  confirm(lsn: Lsn): void;
  /** Completes the stream; resolves when the connection is closed. Safe to repeat, and after an error or an unsubscription. */
  stop(): Promise<void>;
}

/** The change stream of a slot with the bound at its source: above the credit the socket is not read. */
export function openReplication(options: WalReceiverOptions): Replication {
  let receiver: WalReceiver | null = null;
  let complete = (): void => undefined;
  return {
    events$: new Observable<ReplicationEvent[]>((subscriber) => {
      invariant(!receiver, 'a change stream is subscribed to twice');
      const opened = new WalReceiver(options, {
        events: (events) => {
          subscriber.next(events);
        },
        failed: (error) => {
          subscriber.error(error);
        },
      });
      receiver = opened;
      complete = () => {
        subscriber.complete();
      };
      opened.start();
      return () => void opened.stop();
    }),
    release: (messages, bytes) => receiver?.release(messages, bytes),
    confirm: (lsn) => receiver?.confirm(lsn),
    stop: async () => {
      complete();
      await receiver?.stop();
    },
  };
}
