import { Observable, type OperatorFunction } from 'rxjs';

/**
 * concatMap whose queue is one gatherer: while `work` runs, what arrives is pushed into `gather`, and when it ends, `work` is
 * called again if anything came. So the batch grows exactly as long as the consumer is busy, and nothing is buffered
 * that the gatherer does not bound (its bound is the source's credit). Completes when the source has completed and
 * the last `work` has ended; the first error wins.
 *
 * @param gather takes what arrives, synchronously; may throw.
 * @param work does what there is to do and resolves with results to emit; false means that nothing was ready.
 */
export function gatherMap<T, R>(gather: (value: T) => void, work: () => Promise<R | false>): OperatorFunction<T, R> {
  return (source) =>
    new Observable<R>((subscriber) => {
      let busy = false;
      let dirty = false;
      let completed = false;
      const run = (): void => {
        if (busy || subscriber.closed) return;
        if (!dirty) {
          if (completed) subscriber.complete();
          return;
        }
        busy = true;
        dirty = false;
        work().then(
          (result) => {
            busy = false;
            if (result !== false) {
              dirty = true; // there may be more of it
              subscriber.next(result);
            }
            run();
          },
          (error: unknown) => {
            subscriber.error(error);
          },
        );
      };
      return source.subscribe({
        next: (value) => {
          try {
            gather(value);
          } catch (error) {
            subscriber.error(error);
            return;
          }
          dirty = true;
          run();
        },
        error: (error: unknown) => {
          subscriber.error(error);
        },
        complete: () => {
          completed = true;
          run();
        },
      });
    });
}
