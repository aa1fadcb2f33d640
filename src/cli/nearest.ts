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

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
