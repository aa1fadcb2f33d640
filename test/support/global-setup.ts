import type { TestProject } from 'vitest/node';
import { DEFAULT_MAJOR, startServer } from './server.ts';

/** One server for all the files of a tier; each test has a database of its own on it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const name = String(DEFAULT_MAJOR);
  if (process.env[`TEST_PG_${name}`] !== undefined) return () => Promise.resolve();
  const server = await startServer(DEFAULT_MAJOR);
  project.provide('servers', { [name]: server.url });
  return server.stop;
}
