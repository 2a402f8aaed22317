import type { Caller } from '../access/caller.ts';
import { exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import type { Ports } from '../ports/ports.ts';
import type { Op } from '../ports/table.ts';
import { inTransactions, nameOf, readAll } from './batches.ts';
import { DATASET_PREFIX, MODEL_INPUT_PREFIX, MODEL_OUTPUT_PREFIX, runPartition } from './keys.ts';
import { writableRun } from './run.ts';

export interface Dataset {
  readonly name: string;
  readonly digest: string;
  readonly sourceType: string;
  readonly source: string;
  readonly schema?: string;
  readonly profile?: string;
}

/** A dataset that a run read. */
export interface DatasetInput {
  readonly dataset: Dataset;
  readonly tags: readonly { readonly key: string; readonly value: string }[];
}

/** A logged model that a run used. */
export interface ModelInput {
  readonly model: string;
}

/** A logged model that a run made, and at which step. */
export interface ModelOutput {
  readonly model: string;
  readonly step: number;
}

const TEXT_MAX = 100_000;
/** An item of the table has 350 KB at most. */
const DATASET_BYTES_MAX = 300_000;

/** Records what a run read. A dataset is known by its name and digest: told again, it stays as it is. */
export async function logInputs(
  ports: Ports,
  caller: Caller,
  run: string,
  inputs: { datasets: readonly DatasetInput[]; models: readonly ModelInput[] },
): Promise<void> {
  for (const input of inputs.datasets) {
    const { dataset } = input;
    if (Buffer.byteLength(JSON.stringify(input)) > DATASET_BYTES_MAX)
      throw new CairnError(
        'INVALID_ARGUMENT',
        `Each of datasets has at most ${DATASET_BYTES_MAX} bytes with its tags.`,
        'datasets',
      );
    for (const text of [dataset.source, dataset.schema, dataset.profile]) {
      if (text !== undefined && text.length > TEXT_MAX)
        throw new CairnError(
          'INVALID_ARGUMENT',
          `A dataset's texts have at most ${TEXT_MAX} characters.`,
          'datasets',
        );
    }
  }
  await add(ports, caller, run, [
    ...inputs.datasets.map((input): [string, DatasetInput] => [
      `${DATASET_PREFIX}${nameOf(input.dataset.name, input.dataset.digest)}`,
      input,
    ]),
    ...inputs.models.map((input): [string, ModelInput] => [`${MODEL_INPUT_PREFIX}${input.model}`, input]),
  ]);
}

/** Records which logged models a run made. */
export async function logOutputs(
  ports: Ports,
  caller: Caller,
  run: string,
  models: readonly ModelOutput[],
): Promise<void> {
  await add(
    ports,
    caller,
    run,
    models.map((output): [string, ModelOutput] => [`${MODEL_OUTPUT_PREFIX}${output.model}`, output]),
  );
}

async function add(
  ports: Ports,
  caller: Caller,
  run: string,
  entries: readonly (readonly [sk: string, body: DatasetInput | ModelInput | ModelOutput])[],
): Promise<void> {
  const pk = runPartition(run);
  await exclusively(pk, async () => {
    await writableRun(ports.table, caller, run);
    const distinct = new Map(entries);
    const found = await readAll(
      ports.table,
      [...distinct.keys()].map((sk) => ({ pk, sk })),
    );
    const missing = [...distinct].filter(([sk]) => !found.has(sk));
    await inTransactions(
      ports.table,
      missing.map(([sk, body]): Op[] => [{ put: { pk, sk, body }, if: 'absent' }]),
    );
  });
}
