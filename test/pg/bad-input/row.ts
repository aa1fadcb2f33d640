/** What is wrong, what is run, and what comes of it. */
export interface BadInput {
  readonly name: string;
  /** The command line; `{…}` stands for a place of `Places`. In one text, unless an argument has a blank. */
  readonly args: string | readonly string[];
  /** Instead of the variables that lead to the test's database. */
  readonly env?: Readonly<Record<string, string>>;
  /** Files by their name, made in `{dir}`; a name `x:0600` gives the mode. */
  readonly files?: Readonly<Record<string, string>>;
  /** What the shared database gets, before any row is run. */
  readonly sql?: string;
  /** What is done right before and right after, by a superuser. */
  readonly before?: string;
  readonly after?: string;
  readonly code: number;
  /** Of the error, or the id of the check's blocker. */
  readonly error: string;
  /** Part of the error's or the blocker's message: it names the object, what is and what is needed. */
  readonly message: string;
  /** Part of its hint, or of the blocker's fix; null where nothing can be told. */
  readonly hint: string | null;
  /** The first major that has it. */
  readonly since?: number;
}

/** Places that are known when the tests run: `{url}`, `{dir}` … */
export type Places = Readonly<Record<string, string>>;

export function fill(text: string, places: Places): string {
  return text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => places[name] ?? whole);
}
