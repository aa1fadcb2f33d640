import { defineConfig } from 'vitest/config';

const server = { globalSetup: ['test/support/global-setup.ts'], setupFiles: ['test/support/setup.ts'] };

/** A tier is a folder of test/: `npx vitest run --project pg`. */
function tier(name: string, options: { testTimeout: number; maxWorkers?: number } & Partial<typeof server>) {
  return {
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`],
      environment: 'node' as const,
      hookTimeout: 120_000,
      pool: 'forks' as const,
      ...options,
    },
  };
}

export default defineConfig({
  test: {
    projects: [
      tier('unit', { testTimeout: 30_000 }),
      tier('sql', { testTimeout: 60_000, ...server }),
      tier('pg', { testTimeout: 120_000, maxWorkers: 2, ...server }),
      tier('scenario', { testTimeout: 600_000, maxWorkers: 1, ...server }),
      tier('fault', { testTimeout: 600_000, maxWorkers: 1, ...server }),
    ],
  },
});
