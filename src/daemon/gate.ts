/** Lets work through that may run side by side, until somebody holds it: then what is inside ends, and the rest waits outside. */
export class Gate {
  #inside = 0;
  #holders = 0;
  #waiting: (() => void)[] = [];

  /** Runs when nobody holds the gate; waits for that. */
  async pass<T>(run: () => Promise<T>): Promise<T> {
    while (this.#holders > 0) await this.#change();
    this.#inside++;
    try {
      return await run();
    } finally {
      this.#inside--;
      this.#changed();
    }
  }

  /** Runs with nobody inside, and nobody coming in until it has ended. */
  async hold<T>(run: () => Promise<T>): Promise<T> {
    this.#holders++;
    try {
      while (this.#inside > 0) await this.#change();
      return await run();
    } finally {
      this.#holders--;
      this.#changed();
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #changed(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
