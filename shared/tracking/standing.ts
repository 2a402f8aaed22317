import type { Table } from '../ports/table.ts';
import type { Experiment } from './experiment.ts';
import { experimentKey } from './keys.ts';
import type { Run } from './run.ts';

/** Of an experiment that was deleted before turns were counted it is 1. */
export const turnOf = ({ turn, lifecycle }: Pick<Experiment, 'turn' | 'lifecycle'>): number =>
  turn ?? (lifecycle === 'deleted' ? 1 : 0);

/**
 * A run, deleted or active as MLflow has it: deleting or restoring an experiment does so with all its runs, and none of them is
 * written for that. What is in an experiment that is gone is deleted.
 */
export function standing(run: Run, experiment: Experiment | undefined): Run {
  if (experiment && (run.turn ?? 0) >= turnOf(experiment)) return run;
  const { deletedAt, ...rest } = run;
  if (experiment?.lifecycle === 'active') return { ...rest, lifecycle: 'active' };
  return { ...rest, lifecycle: 'deleted', deletedAt: experiment?.deletedAt ?? deletedAt ?? 0 };
}

/** One read more: its experiment's. */
export async function standingRun(table: Table, run: Run): Promise<Run> {
  const item = await table.get(experimentKey(run.workspace, run.experiment));
  return standing(run, item?.body as Experiment | undefined);
}
