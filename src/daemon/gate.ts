/**
 * Lets work through that may run side by side, until somebody holds it: then what is inside ends, and the rest waits outside. What runs inside must not
 * wait for who may wait outside.
 */
export class Gate {
  #inside = 0;
  /** Who holds it, or waits for that. */
  #holders = 0;
  #isHeld = false;
  #waiting: (() => void)[] = [];
  #closed: { readonly reason: unknown } | null = null;

  /** Runs when nobody holds the gate; waits for that. Throws the reason when it is closed before. */
  async pass<T>(run: () => Promise<T>): Promise<T> {
    this.#throwIfClosed();
    while (this.#holders > 0) await this.#change();
    this.#inside++; // nothing is waited for between the look and this
    try {
      return await run();
    } finally {
      this.#inside--;
      this.#changed();
    }
  }

  /** Runs with nobody inside, no other holder, and nobody coming in until it has ended. Throws the reason when it is closed before. */
  async hold<T>(run: () => Promise<T>): Promise<T> {
    this.#holders++;
    try {
      this.#throwIfClosed();
      while (this.#inside > 0 || this.#isHeld) await this.#change();
      this.#isHeld = true;
      try {
        return await run();
      } finally {
        this.#isHeld = false;
      }
    } finally {
      this.#holders--;
      this.#changed();
    }
  }

  /** Who waits, or comes later, gets the reason; what runs goes on. */
  close(reason: unknown): void {
    this.#closed ??= { reason };
    this.#changed();
  }

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#throwIfClosed();
  }

  #throwIfClosed(): void {
    if (this.#closed) throw this.#closed.reason;
  }

  #changed(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
