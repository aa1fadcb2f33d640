import type { Moment } from '../../support/fault-proxy.ts';
import { PLACES, type Place } from './points.ts';

/** What strikes. */
export type Fault =
  /** SIGKILL of the process. */
  | 'kill'
  /** SIGTERM: it drains and exits 0. */
  | 'SIGTERM'
  /** pg_terminate_backend of the session. */
  | 'terminate'
  /** `pg_ctl stop -m immediate`, and started again. */
  | 'server crash'
  /** The connection is reset. */
  | 'cut'
  /** No FIN: both directions are swallowed. */
  | 'half-open'
  /** The network is away, for every connection and for new ones. */
  | 'partition'
  /** Everything stands still for a while, and then goes on. */
  | 'stall'
  /** From here on every message takes longer. */
  | 'slow';

export interface Cell {
  /** Unique, and the same from run to run. */
  readonly name: string;
  readonly place: Place;
  readonly fault: Fault;
  readonly moment: Moment;
}

type Blow = readonly [Fault, Moment];

const OF_COMMITS: readonly Blow[] = [
  ['kill', 'after'],
  ['terminate', 'after'],
  ['server crash', 'before'],
  ['server crash', 'after'],
  ['cut', 'after'],
];
const OF_LONG: readonly Blow[] = [
  ['kill', 'during'],
  ['terminate', 'during'],
  ['server crash', 'during'],
];
const OF_GROUPS: readonly Blow[] = [
  ['terminate', 'before'],
  ['server crash', 'before'],
];
/** What the network does, where much goes over it or much hangs on it. */
const OF_NETWORK: readonly Blow[] = [
  ['half-open', 'before'],
  ['half-open', 'during'],
  ['partition', 'before'],
  ['stall', 'before'],
  ['slow', 'before'],
];
const OVER_NETWORK =
  /^(prepare slot|stream walsender's start|chunk COPY (in|out)|index build index|go-live leaf attached|batch (stage|commit)|fence message|swap statements 4|way back commit|rollback commit)/;

export const CELLS: readonly Cell[] = cellsOf(PLACES);

function cellsOf(places: readonly Place[]): Cell[] {
  const seen = new Set<string>();
  return places.flatMap((place) => {
    const isFirst = !seen.has(place.phase);
    seen.add(place.phase);
    const blows: Blow[] = [['kill', 'before']];
    if (place.occurrences.length > 1 && [1, 25, 49].includes(place.occurrences[0]!)) blows.push(...OF_GROUPS);
    if (place.commit) blows.push(...OF_COMMITS);
    if (place.long) blows.push(...OF_LONG);
    if (OVER_NETWORK.test(`${place.phase} ${place.name}`))
      blows.push(...OF_NETWORK.filter(([, moment]) => moment !== 'during' || place.long));
    if (isFirst && !['finish', 'abort'].includes(place.phase)) blows.push(['SIGTERM', 'before']);
    return blows.map(([fault, moment]) => ({ name: `${place.phase} / ${place.name} / ${fault} ${moment}`, place, fault, moment }));
  });
}

/** A migration is prepared once, and has so many chunks and no more. */
const mostOf = (phase: string): number => (phase === 'prepare' ? 1 : 2);

/**
 * Cells that one migration takes: of the same route and unit, few from one phase, in the order in which their places come. Numbered statements
 * are struck so often that nothing else is struck beside them.
 */
export function bundles(cells: readonly Cell[], size: number): Cell[][] {
  const order = new Map(PLACES.map((place, index) => [place, index]));
  const isAlone = ({ place }: Cell): boolean => place.occurrences.length > 1;
  const made = cells.filter(isAlone).map((cell) => [cell]);
  const kinds = new Map<string, Cell[]>();
  for (const cell of cells) kinds.set(keyOf(cell), [...(kinds.get(keyOf(cell)) ?? []), cell]);
  for (const kind of kinds.values()) {
    const sorted = kind.filter((cell) => !isAlone(cell)).sort((a, b) => order.get(a.place)! - order.get(b.place)!);
    const open: Cell[][] = Array.from({ length: Math.ceil(sorted.length / size) }, () => []);
    for (const cell of sorted) {
      const fitting = open.filter(
        (bundle) =>
          bundle.length < size &&
          bundle.every(({ place }) => place !== cell.place) &&
          bundle.filter(({ place }) => place.phase === cell.place.phase).length < mostOf(cell.place.phase),
      );
      const [emptiest] = fitting.sort((a, b) => a.length - b.length);
      if (emptiest) emptiest.push(cell);
      else open.push([cell]);
    }
    made.push(...open);
  }
  return made.sort((a, b) => b.length - a.length);
}

function keyOf({ place }: Cell): string {
  return `${place.route} ${place.unit}`;
}

/** A part of the cells that has every phase and every fault in it, as far as so many cells can; the same for the same seed. */
export function sample(cells: readonly Cell[], count: number, seed: number): Cell[] {
  const random = randomOf(seed);
  const left = cells.map((cell) => ({ cell, at: random() })).sort((a, b) => a.at - b.at);
  const chosen: Cell[] = [];
  const times = new Map<string, number>();
  const weight = ({ place, fault, moment }: Cell): number =>
    [place.phase, fault, moment].reduce((sum, key) => sum + (times.get(key) ?? 0), 0);
  while (chosen.length < count && left.length > 0) {
    let best = 0;
    for (let index = 1; index < left.length; index++) if (weight(left[index]!.cell) < weight(left[best]!.cell)) best = index;
    const { cell } = left.splice(best, 1)[0]!;
    chosen.push(cell);
    for (const key of [cell.place.phase, cell.fault, cell.moment]) times.set(key, (times.get(key) ?? 0) + 1);
  }
  return chosen;
}

/** mulberry32: a seed is enough to have the same numbers again. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
