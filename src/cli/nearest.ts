import { editDistance } from '../domain/edit-distance.ts';

/** The candidate that a mistyped word most probably means, or null when none is near. */
export function nearest(word: string, candidates: readonly string[]): string | null {
  const plain = word.toLowerCase().replaceAll(/[-_]/g, '');
  let best: string | null = null;
  let bestDistance = Math.max(2, Math.floor(plain.length / 2)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(plain, candidate.replaceAll('-', ''));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}
