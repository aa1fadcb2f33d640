/** Messages are copied together into buffers of this size: the parser of the driver reuses its own. */
const SLAB_BYTES = 256 << 10;
/** Larger messages get a buffer of their own, so that a slab wastes little at its end. */
const SLAB_SHARE = SLAB_BYTES / 4;

/** Copies what must outlive the buffer it came in, many small ones into one buffer. */
export class Slab {
  #buffer = Buffer.alloc(0);
  #used = 0;

  /** Where the copy is. */
  keep(chunk: Buffer): { readonly data: Buffer; readonly start: number } {
    const { length } = chunk;
    if (length > SLAB_SHARE) return { data: Buffer.from(chunk), start: 0 };
    if (this.#used + length > this.#buffer.length) {
      this.#buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += length;
    chunk.copy(this.#buffer, start);
    return { data: this.#buffer, start };
  }
}
