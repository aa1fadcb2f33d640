import { afterEach, expect } from 'vitest';
import { takeLeaks } from './database.ts';

/** A test that leaves a session of the tool, or a database, behind has failed. */
afterEach(() => {
  expect(takeLeaks(), 'left behind').toEqual([]);
});
