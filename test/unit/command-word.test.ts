import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { shellWord, tableWord } from '../../src/domain/command-word.ts';

/** What a POSIX shell makes of a line: its words. */
function wordsOf(line: string): string[] {
  return execFileSync('sh', ['-c', `printf '%s\\0' ${line}`], { encoding: 'utf8' })
    .split('\0')
    .slice(0, -1);
}

const HOSTILE = [
  'Events',
  'a b',
  'a"b',
  "it's",
  "'; rm -rf x; '",
  '$HOME',
  '`id`',
  'a\\b',
  'a\nb',
  '*',
  '~',
  '!!',
  'größe',
  '-x',
  'a;b',
  '#',
];

describe('a table in the command of a hint', () => {
  it.each([
    [{ schema: 'app', name: 'events' }, 'app.events'],
    [{ schema: 'app', name: 'events_2024' }, 'app.events_2024'],
    [{ schema: 'app', name: 'Events' }, `'app."Events"'`],
    [{ schema: 'My App', name: 'events' }, `'"My App".events'`],
    [{ schema: 'app', name: 'a.b' }, `'app."a.b"'`],
    [{ schema: 'app', name: '2024' }, `'app."2024"'`],
    [{ schema: 'app', name: 'a"b' }, `'app."a""b"'`],
    [{ schema: 'app', name: "it's" }, `'app."it'\\''s"'`],
    ['app.events', 'app.events'],
    ['app."Events"', `'app."Events"'`],
  ])('%j: %s', (table, word) => {
    expect(tableWord(table)).toBe(word);
  });

  it.each(HOSTILE)('%j stays one word, quoted for SQL', (name) => {
    const quoted = `"${name.replaceAll('"', '""')}"`;
    expect(wordsOf(tableWord({ schema: name, name }))).toEqual([`${quoted}.${quoted}`]);
  });

  it('a name that cannot be one is refused', () => {
    expect(() => tableWord({ schema: 'app', name: '' })).toThrow(RangeError);
  });
});

describe('a word for a shell', () => {
  it.each([...HOSTILE.filter((text) => text !== '-x'), '', 'partitioner.yaml', '/etc/p.yaml'])('%j', (text) => {
    expect(wordsOf(shellWord(text))).toEqual([text]);
  });
});
