import type { TestProject } from 'vitest/node';
import { DEFAULT_MAJOR, startServer } from './server.ts';

/**
 * A server for each worker of a tier, so that a transaction which one file keeps open holds up no other file's slot; each test has a
 * database of its own on it.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const name = String(DEFAULT_MAJOR);
  if (process.env[`TEST_PG_${name}`] !== undefined) return () => Promise.resolve();
  const workers = project.config.maxWorkers;
  const servers = await Promise.all(Array.from({ length: workers }, () => startServer(DEFAULT_MAJOR)));
  project.provide('servers', { [name]: servers.map(({ url }) => url) });
  return async () => {
    await Promise.all(servers.map(({ stop }) => stop()));
  };
}
