import type { Caller } from '../access/caller.ts';
import { allows } from '../access/grant.ts';
import type { Table } from '../ports/table.ts';
import type { Lineage } from '../registry/version.ts';
import { pointOf } from './metric.ts';
import { readRun } from './run.ts';

/** A version's record is read by every search: it keeps so many characters of its run, and the run the rest. */
const CHARACTERS_MAX = 8000;
const VALUE_MAX = 500;

/** What MLflow writes beside a model of how to make its environment anew. */
const ENVIRONMENT = ['conda.yaml', 'python_env.yaml', 'requirements.txt'];
const INPUT_EXAMPLES = ['input_example.json', 'serving_input_example.json'];

/**
 * What is known of a version's making when it is made: later changes of the run do not change it, and it stays when the
 * run is deleted. Undefined where nothing is known; of a run, only what the caller may see.
 */
export async function lineageOf(
  table: Table,
  caller: Caller,
  workspace: string,
  run: string | undefined,
  paths: readonly string[],
): Promise<Lineage | undefined> {
  const environment = ENVIRONMENT.filter((path) => paths.includes(path));
  const inputExample = INPUT_EXAMPLES.find((path) => paths.includes(path));
  const lineage: Lineage = {
    ...(await ofRun(table, caller, workspace, run)),
    ...(environment.length === 0 ? {} : { environment }),
    ...(inputExample === undefined ? {} : { inputExample }),
  };
  return Object.keys(lineage).length === 0 ? undefined : lineage;
}

async function ofRun(
  table: Table,
  caller: Caller,
  workspace: string,
  id: string | undefined,
): Promise<Lineage> {
  if (id === undefined || !allows(caller, 'viewer', { workspace })) return {};
  const found = await readRun(table, id);
  if (found === undefined || found.run.workspace !== workspace) return {};
  let left = CHARACTERS_MAX;
  let omitted = 0;
  const capped = <Value extends string | number>(entries: Iterable<readonly [string, Value]>) =>
    Object.fromEntries(
      [...entries].filter(([key, value]) => {
        const size = key.length + String(value).length;
        const fits = String(value).length <= VALUE_MAX && size <= left;
        if (fits) left -= size;
        else omitted++;
        return fits;
      }),
    );
  const metrics = capped([...found.metrics].map(([key, metric]) => [key, pointOf(metric)[0]] as const));
  const params = capped(found.params);
  return {
    runName: found.run.name,
    experiment: found.run.experiment,
    params,
    metrics,
    ...(omitted === 0 ? {} : { omitted }),
  };
}
