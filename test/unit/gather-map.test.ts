import { lastValueFrom, Subject, toArray } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { gatherMap } from '../../src/streams/gather-map.ts';

describe('gatherMap', () => {
  test('gathers what arrives while work runs, and ends after the last of it', async () => {
    const source$ = new Subject<number>();
    const gathered: number[] = [];
    const releases: (() => void)[] = [];
    const results = lastValueFrom(
      source$.pipe(
        gatherMap(
          (value) => gathered.push(value),
          async () => {
            if (gathered.length === 0) return false;
            const batch = gathered.splice(0);
            await new Promise<void>((resolve) => releases.push(resolve));
            return batch;
          },
        ),
        toArray(),
      ),
      { defaultValue: [] },
    );
    source$.next(1);
    source$.next(2);
    source$.next(3);
    source$.complete();
    while (releases.length > 0) {
      releases.shift()!();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await results).toEqual([[1], [2, 3]]);
  });

  test('an error of the gatherer or of the work is the stream’s', async () => {
    const failing = (gather: () => void, work: () => Promise<false>): Promise<unknown> => {
      const source$ = new Subject<number>();
      const result = lastValueFrom(source$.pipe(gatherMap(gather, work)), { defaultValue: undefined });
      source$.next(1);
      return result;
    };
    await expect(
      failing(
        () => {
          throw new Error('gather');
        },
        () => Promise.resolve(false),
      ),
    ).rejects.toThrow('gather');
    await expect(
      failing(
        () => undefined,
        () => Promise.reject(new Error('work')),
      ),
    ).rejects.toThrow('work');
  });
});
