import { CopyBuffer } from '../domain/copy-row.ts';

/** The memory that batches are staged in, one after the other; a session's own. */
export interface StageBuffers {
  readonly stage: CopyBuffer;
  readonly gone: CopyBuffer;
  readonly rows: CopyBuffer;
  readonly log: CopyBuffer;
}

export function createStageBuffers(): StageBuffers {
  return { stage: new CopyBuffer(), gone: new CopyBuffer(), rows: new CopyBuffer(), log: new CopyBuffer() };
}
