/*
 * Looking into PostgreSQL's own definition texts. Only quotes and parentheses are told apart: that is enough to find the end of a
 * list, whatever names and strings are in it.
 */

/** The position behind the n-th pair of outermost parentheses; -1 when there are fewer. */
export function endOfParentheses(text: string, n: number): number {
  let depth = 0;
  let closed = 0;
  let quote: string | null = null;
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (quote !== null) {
      if (char === quote) quote = null; // a doubled quote ends and begins again
    } else if (char === '"' || char === "'") quote = char;
    else if (char === '(') depth++;
    else if (char === ')' && --depth === 0 && ++closed === n) return i + 1;
  }
  return -1;
}
