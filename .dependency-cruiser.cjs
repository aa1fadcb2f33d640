/** The layers: pure code at the bottom, effects above it, the command line on top. docs/architecture.md says why. */
const layer = (name, comment, from, to) => ({ name, comment, severity: 'error', from: { path: from }, to });

module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      comment: 'a cycle of values; types may refer to each other',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'no-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    layer(
      'pure',
      'planners and values have no effects and no clock: tests are tables of input and output',
      '^src/(domain|plan|migration)/',
      {
        dependencyTypes: ['core', 'npm', 'npm-dev', 'npm-no-pkg', 'npm-unknown'],
      },
    ),
    layer('domain-at-the-bottom', 'values know nothing of plans', '^src/domain/', {
      path: '^src/',
      pathNot: '^src/(domain/|errors\\.ts$)',
    }),
    layer('plan-on-domain', 'planners know nothing of the machine', '^src/plan/', {
      path: '^src/',
      pathNot: '^src/(plan/|domain/|errors\\.ts$)',
    }),
    layer('migration-on-plan', 'the machine knows nothing of its effects', '^src/migration/', {
      path: '^src/',
      pathNot: '^src/(migration/|plan/|domain/|errors\\.ts$)',
    }),
    layer('errors-alone', 'everything raises errors', '^src/errors\\.ts$', { path: '^src/' }),
    layer('pg-and-sql-below-actions', 'wrappers of the server know nothing of what is done with them', '^src/(pg|sql)/', {
      path: '^src/(actions|streams|daemon|http|cli|demo)/',
    }),
    layer('actions-below-daemon', 'an effect knows nothing of who runs it', '^src/(actions|streams)/', {
      path: '^src/(daemon|http|cli|demo)/',
    }),
    layer('http-below-daemon', 'the HTTP server is handed what it shows', '^src/http/', { path: '^src/(daemon|cli|demo)/' }),
    layer('daemon-below-cli', 'the daemon runs without the command line', '^src/daemon/', { path: '^src/(cli|demo)/' }),
    {
      name: 'drivers-in-pg',
      comment: "the driver's traps are hidden in one folder",
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/pg/' },
      to: { path: '(^|/)node_modules/(@types/)?(pg|pg-copy-streams|pg-logical-replication)(/|$)' },
    },
    {
      name: 'rxjs-where-it-flows',
      comment: 'one-shot procedures are plain async functions',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(streams|daemon|http)/' },
      to: { path: '(^|/)node_modules/rxjs(/|$)' },
    },
    {
      name: 'product-alone',
      comment: 'what is published needs neither tests nor development dependencies',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|docs)/' },
    },
    {
      name: 'no-dev-dependency',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'], pathNot: 'node_modules/@types/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.json'],
    },
  },
};
