/** What a pool does with its resources. */
export interface PoolOf<T> {
  readonly size: number;
  readonly make: () => Promise<T>;
  readonly dispose: (resource: T) => Promise<void>;
  /** Makes what runs on a lent resource fail soon. */
  readonly abandon?: (resource: T) => void;
}

/** Lends at most `size` resources at a time, made when first needed; those who wait are served in order. */
export class Pool<T> {
  readonly #of: PoolOf<T>;
  readonly #idle: T[] = [];
  readonly #lent = new Set<T>();
  readonly #queue: (() => void)[] = [];
  #taken = 0;

  constructor(of: PoolOf<T>) {
    this.#of = of;
  }

  /** A resource whose use failed is not lent again: its state is unknown. */
  async use<R>(run: (resource: T) => Promise<R>): Promise<R> {
    while (this.#taken >= this.#of.size) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#taken++;
    try {
      const resource = this.#idle.pop() ?? (await this.#of.make());
      this.#lent.add(resource);
      try {
        const result = await run(resource);
        this.#idle.push(resource);
        return result;
      } catch (error) {
        await this.#of.dispose(resource);
        throw error;
      } finally {
        this.#lent.delete(resource);
      }
    } finally {
      this.#taken--;
      this.#queue.shift()?.();
    }
  }

  /** Ends what is under way; its users get the error. */
  abandon(): void {
    for (const resource of this.#lent) this.#of.abandon?.(resource);
  }

  /** Ends the idle ones; call it when nothing is lent. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#idle.splice(0).map((resource) => this.#of.dispose(resource)));
  }
}
