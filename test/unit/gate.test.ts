import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Gate } from '../../src/daemon/gate.ts';

/** Something that goes on until it is ended. */
function begin(said: string[], name: string): { run: () => Promise<string>; end: () => void } {
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  const run = async (): Promise<string> => {
    said.push(`${name} begins`);
    await ended;
    said.push(`${name} ends`);
    return name;
  };
  return { run, end: () => end() };
}

test('who holds the gate is alone, and one after the other', async () => {
  const gate = new Gate();
  const said: string[] = [];
  const [part, first, second, late] = ['part', 'first', 'second', 'late'].map((name) => begin(said, name));
  const running = [gate.pass(part!.run), gate.hold(first!.run), gate.hold(second!.run), gate.pass(late!.run)];
  for (const each of [part, first, second, late]) {
    await turn();
    each!.end();
  }
  expect(await Promise.all(running)).toEqual(['part', 'first', 'second', 'late']);
  expect(said).toEqual(['part', 'first', 'second', 'late'].flatMap((name) => [`${name} begins`, `${name} ends`]));
});

test('closed, it turns away who waits and who comes; what runs goes on', async () => {
  const gate = new Gate();
  const said: string[] = [];
  const part = begin(said, 'part');
  const inside = gate.pass(part.run);
  const waiting = [gate.hold(() => Promise.resolve('held')), gate.pass(() => Promise.resolve('passed'))];
  await turn();
  gate.close(new Error('the verification has stopped'));
  const outcomes = await Promise.allSettled([...waiting, gate.hold(() => Promise.resolve('late'))]);
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  part.end();
  expect(await inside).toBe('part');
});
