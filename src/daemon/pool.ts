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
  #ended: { readonly reason: unknown } | null = null;

  constructor(of: PoolOf<T>) {
    this.#of = of;
  }

  /** A resource whose use failed is not lent again: its state is unknown. */
  async use<R>(run: (resource: T) => Promise<R>): Promise<R> {
    while (!this.#ended && this.#taken >= this.#of.size) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#throwIfEnded();
    this.#taken++;
    try {
      const resource = this.#idle.pop() ?? (await this.#of.make());
      this.#lent.add(resource);
      try {
        this.#throwIfEnded(); // while it was made
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

  /** Ends what is under way; its users get the error. Who waits for a resource, or comes later, gets the reason: nothing more is made. */
  abandon(reason: unknown): void {
    this.#ended ??= { reason };
    for (const resource of this.#lent) this.#of.abandon?.(resource);
    for (const wake of this.#queue.splice(0)) wake();
  }

  /** Ends the idle ones, once nothing is lent. */
  async close(): Promise<void> {
    while (this.#taken > 0) await new Promise<void>((resolve) => this.#queue.push(resolve));
    await Promise.allSettled(this.#idle.splice(0).map((resource) => this.#of.dispose(resource)));
  }

  #throwIfEnded(): void {
    if (this.#ended) throw this.#ended.reason;
  }
}
