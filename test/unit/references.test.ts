import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { references } from '../../docs/generate.ts';

describe('the generated references', () => {
  it.each(references().map(({ file, text }) => [file.pathname.split('/').at(-1)!, file, text] as const))(
    '%s is up to date (npm run docs)',
    (_name, file, text) => {
      expect(readFileSync(file, 'utf8')).toBe(text);
    },
  );
});
