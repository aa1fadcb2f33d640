import { tableWord } from '../domain/command-word.ts';
import { MigratorError } from '../errors.ts';
import { DEFAULT_PLAN_OPTIONS, type PlanOptions } from '../plan/options.ts';
import type { SettingValues } from './settings.ts';

/** The partitioning that was asked for, with the defaults of what was not said. */
export function planOptionsOf(settings: SettingValues, table: string, verb: string): PlanOptions {
  if (settings.range === undefined) {
    throw new MigratorError('USAGE', `missing --range: the column that ${table} is to be partitioned by`, {
      hint: `partitioner ${verb} ${tableWord(table)} --range created_at --every month`,
    });
  }
  return {
    range: settings.range,
    every: settings.every ?? DEFAULT_PLAN_OPTIONS.every,
    premake: settings.premake ?? DEFAULT_PLAN_OPTIONS.premake,
    chunkBytes: settings['chunk-size'] ?? DEFAULT_PLAN_OPTIONS.chunkBytes,
    ...(settings.from === undefined ? {} : { from: settings.from }),
    ...(settings.decide === undefined ? {} : { decisions: settings.decide }),
    ...(settings.unit === undefined ? {} : { unitKind: settings.unit }),
  };
}

/** A running migration keeps the partitioning it began with; flags that say otherwise are a mistake, not a wish to be ignored. */
export function refuseOtherOptions(settings: SettingValues, kept: PlanOptions, source: string): void {
  const asked: readonly (readonly [string, string | undefined, string | undefined])[] = [
    ['range', settings.range, kept.range],
    ['every', settings.every, kept.every],
    ['from', settings.from, kept.from],
    ['unit', settings.unit, kept.unitKind],
  ];
  for (const [name, wanted, has] of asked) {
    if (wanted === undefined || wanted === has) continue;
    throw new MigratorError(
      'USAGE',
      `--${name} ${wanted} does not fit: the migration of ${source} has begun with ${has === undefined ? `no --${name}` : `--${name} ${has}`}`,
      {
        hint: `leave --${name} out to resume it, or partitioner abort ${tableWord(source)} to begin anew`,
      },
    );
  }
  for (const [object, choice] of Object.entries(settings.decide ?? {})) {
    const has = kept.decisions?.[object];
    if (has === choice) continue;
    throw new MigratorError(
      'USAGE',
      `--decide ${object}=${choice} does not fit: the migration of ${source} has begun with ${has === undefined ? 'no decision on it' : `${object}=${has}`}`,
      {
        hint: `leave it out to resume it; what came since is decided with partitioner cutover ${tableWord(source)} --decide …; or partitioner abort ${tableWord(source)} to begin anew`,
      },
    );
  }
}
