import type { Client } from '../../src/pg/client.ts';

export interface HandMadeMigration {
  readonly table: string;
  readonly phase: string;
  readonly waiting?: string;
  readonly failure?: object;
}

/** A migration's row without anything behind it, of a table in the schema `app`; returns its id. */
export async function insertMigration(client: Client, { table, phase, waiting, failure }: HandMadeMigration): Promise<number> {
  const { rows } = await client.query<{ id: number }>(
    `insert into partitioner.migration
       (source_schema, source_name, source_oid, target_name, retired_name, phase, options, plan, fingerprint, slot_name, publication_name, waiting, failure)
     values ('app', $1::text, 1, 'partitioner_target_' || $1::text, 'partitioner_retired_' || $1::text, $2, '{}', '{}', '', 'partitioner_none', 'partitioner_none', $3, $4)
     returning id`,
    [table, phase, waiting ?? null, failure === undefined ? null : JSON.stringify(failure)],
  );
  return rows[0]!.id;
}
