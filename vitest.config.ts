import { defineConfig } from 'vitest/config';

const TIERS = ['unit', 'sql', 'pg', 'scenario', 'fault'] as const;

/** A tier is a folder of test/: `npx vitest run --project pg`. Tiers run one after the other, the quick ones first. */
function tier(name: (typeof TIERS)[number], testTimeout: number) {
  return {
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`],
      environment: 'node' as const,
      pool: 'forks' as const,
      sequence: { groupOrder: TIERS.indexOf(name) },
      maxWorkers: 2,
      testTimeout,
      hookTimeout: 120_000,
      ...(name === 'unit' ? {} : { globalSetup: ['test/support/global-setup.ts'], setupFiles: ['test/support/setup.ts'] }),
    },
  };
}

export default defineConfig({
  test: {
    projects: [tier('unit', 30_000), tier('sql', 60_000), tier('pg', 120_000), tier('scenario', 600_000), tier('fault', 600_000)],
  },
});
