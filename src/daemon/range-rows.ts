/** A range is read in one short transaction: some seconds on the slowest disk. */
const RANGE_BYTES = 64 << 20;
const RANGE_ROWS = { least: 500, most: 500_000 };

/**
 * Rows of a range that is compared at once.
 *
 * @param rowBytes bytes that a row takes, about.
 * @param bytesPerSecond what may be read in a second; null: as fast as it goes.
 */
export function rangeRows(rowBytes: number, bytesPerSecond: number | null): number {
  const bytes = Math.min(RANGE_BYTES, bytesPerSecond ?? RANGE_BYTES);
  return Math.min(RANGE_ROWS.most, Math.max(RANGE_ROWS.least, Math.round(bytes / rowBytes)));
}
