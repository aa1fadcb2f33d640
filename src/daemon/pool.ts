/** Lends at most `size` resources at a time, made when first needed; those who wait are served in order. */
export class Pool<T> {
  readonly #size: number;
  readonly #make: () => Promise<T>;
  readonly #dispose: (resource: T) => Promise<void>;
  readonly #idle: T[] = [];
  readonly #queue: (() => void)[] = [];
  #lent = 0;

  constructor(size: number, make: () => Promise<T>, dispose: (resource: T) => Promise<void>) {
    this.#size = size;
    this.#make = make;
    this.#dispose = dispose;
  }

  /** A resource whose use failed is not lent again: its state is unknown. */
  async use<R>(run: (resource: T) => Promise<R>): Promise<R> {
    while (this.#lent >= this.#size) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#lent++;
    try {
      const resource = this.#idle.pop() ?? (await this.#make());
      try {
        const result = await run(resource);
        this.#idle.push(resource);
        return result;
      } catch (error) {
        await this.#dispose(resource);
        throw error;
      }
    } finally {
      this.#lent--;
      this.#queue.shift()?.();
    }
  }

  /** Ends the idle ones; call it when nothing is lent. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#idle.splice(0).map((resource) => this.#dispose(resource)));
  }
}
