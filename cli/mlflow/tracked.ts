import { hasCode } from '../cli-error.ts';
import { copyArtifacts, type Import, type Tag, tagOf } from './import.ts';

interface Experiment {
  readonly experiment_id: string;
  readonly name: string;
  readonly tags?: Tag[];
}

interface Run {
  readonly info: {
    readonly run_id: string;
    readonly run_name?: string;
    readonly user_id?: string;
    readonly status: string;
    readonly start_time: number;
    readonly end_time?: number;
    readonly artifact_uri: string;
  };
  readonly data: {
    readonly metrics?: { key: string }[];
    readonly params?: Tag[];
    readonly tags?: Tag[];
  };
}

interface LoggedModel {
  readonly info: {
    readonly model_id: string;
    readonly name: string;
    readonly model_type?: string;
    readonly source_run_id?: string;
    readonly artifact_uri: string;
    readonly status: string;
    readonly tags?: Tag[];
  };
  readonly data?: { readonly params?: Tag[] };
}

/** The tag that tells which run or logged model of the other server this one was, once all of it is here. */
const IMPORTED = 'cairn.imported.from';
/** The same while it is being copied: what is found with it is begun anew. */
const IMPORTING = 'cairn.importing.from';

/** Copies experiments with their runs and logged models. What was copied whole before is left as it is. */
export async function importTracked(job: Import): Promise<void> {
  const query = { view_type: 'ACTIVE_ONLY', max_results: 1000 };
  for await (const experiment of job.from.all<Experiment>('experiments/search', 'experiments', {
    body: query,
  })) {
    const id = await experimentHere(job, experiment);
    job.experiments.set(experiment.experiment_id, id);
    await importRuns(job, experiment.experiment_id, id);
    await importLoggedModels(job, experiment.experiment_id, id);
    job.count('experiments');
  }
}

async function experimentHere(job: Import, { name, tags }: Experiment): Promise<string> {
  try {
    const { experiment } = await job.to.get<{ experiment: Experiment }>('experiments/get-by-name', {
      experiment_name: name,
    });
    return experiment.experiment_id;
  } catch (error) {
    if (!hasCode(error, 'RESOURCE_DOES_NOT_EXIST')) throw error;
    const made = await job.to.post<{ experiment_id: string }>('experiments/create', {
      name,
      tags: tags ?? [],
    });
    return made.experiment_id;
  }
}

async function importRuns(job: Import, oldExperiment: string, experiment: string): Promise<void> {
  const search = { experiment_ids: [experiment], max_results: 1000 };
  for await (const { info, data } of job.to.all<Run>('runs/search', 'runs', { body: search })) {
    const origin = tagOf(data.tags, IMPORTED);
    if (origin !== undefined) job.runs.set(origin, info.run_id);
    // One that was interrupted: its copy is made again.
    else if (tagOf(data.tags, IMPORTING) !== undefined)
      await job.to.post('runs/delete', { run_id: info.run_id });
  }
  const oldest = { experiment_ids: [oldExperiment], max_results: 1000, order_by: ['start_time ASC'] };
  for await (const run of job.from.all<Run>('runs/search', 'runs', { body: oldest })) {
    if (job.runs.has(run.info.run_id)) job.count('runs that were there');
    else await importRun(job, experiment, run);
    job.done();
  }
}

async function importRun(job: Import, experiment: string, { info, data }: Run): Promise<void> {
  const { run_id: origin } = info;
  const [first = [], ...otherTags] = chunked(data.tags ?? [], 90);
  const { run } = await job.to.post<{ run: Run }>('runs/create', {
    experiment_id: experiment,
    user_id: info.user_id ?? '',
    run_name: info.run_name,
    start_time: info.start_time,
    tags: [...first.map((tag) => renamedParent(job, tag)), { key: IMPORTING, value: origin }],
  });
  const id = run.info.run_id;
  for (const tags of otherTags) await job.to.post('runs/log-batch', { run_id: id, tags });
  for (const params of chunked(data.params ?? [], 100))
    await job.to.post('runs/log-batch', { run_id: id, params });
  for (const { key } of data.metrics ?? []) {
    const query = { run_id: origin, metric_key: key, max_results: 25_000 };
    const history = job.from.all<object>('metrics/get-history', 'metrics', { query });
    for (const metrics of chunked(await Array.fromAsync(history), 1000))
      await job.to.post('runs/log-batch', { run_id: id, metrics });
  }
  await copyArtifacts(job, info.artifact_uri, run.info.artifact_uri);
  const { status, end_time } = info;
  await job.to.post('runs/update', { run_id: id, status, ...(end_time === undefined ? {} : { end_time }) });
  await job.to.post('runs/log-batch', { run_id: id, tags: [{ key: IMPORTED, value: origin }] });
  await job.to.post('runs/delete-tag', { run_id: id, key: IMPORTING });
  job.runs.set(origin, id);
  job.count('runs');
}

/** Runs are copied from the oldest on, so a parent is here before its children. */
function renamedParent(job: Import, { key, value }: Tag): Tag {
  return { key, value: key === 'mlflow.parentRunId' ? (job.runs.get(value) ?? value) : value };
}

async function importLoggedModels(job: Import, oldExperiment: string, experiment: string): Promise<void> {
  const search = (id: string) => ({ body: { experiment_ids: [id], max_results: 50 } });
  for await (const { info } of job.to.all<LoggedModel>(
    'logged-models/search',
    'models',
    search(experiment),
  )) {
    const origin = tagOf(info.tags, IMPORTED);
    if (origin !== undefined) job.loggedModels.set(origin, info.model_id);
  }
  try {
    for await (const model of job.from.all<LoggedModel>(
      'logged-models/search',
      'models',
      search(oldExperiment),
    )) {
      if (!job.loggedModels.has(model.info.model_id)) await importLoggedModel(job, experiment, model);
    }
  } catch (error) {
    // MLflow 2 has none.
    if (!hasCode(error, 'ENDPOINT_NOT_FOUND', 'HTTP_404')) throw error;
  }
}

async function importLoggedModel(
  job: Import,
  experiment: string,
  { info, data }: LoggedModel,
): Promise<void> {
  const { model_id: origin, name, model_type, source_run_id = '' } = info;
  const { model } = await job.to.post<{ model: LoggedModel }>('logged-models', {
    experiment_id: experiment,
    name,
    model_type,
    source_run_id: job.runs.get(source_run_id) ?? '',
    params: data?.params ?? [],
    tags: (info.tags ?? []).filter(({ key }) => key !== 'mlflow.modelVersions'),
  });
  const id = model.info.model_id;
  await copyArtifacts(job, info.artifact_uri, model.info.artifact_uri);
  await job.to.patch(`logged-models/${id}`, { model_id: id, status: info.status });
  await job.to.patch(`logged-models/${id}/tags`, { model_id: id, tags: [{ key: IMPORTED, value: origin }] });
  const run = job.runs.get(source_run_id);
  if (run !== undefined)
    await job.to.post('runs/outputs', { run_id: run, models: [{ model_id: id, step: 0 }] });
  job.loggedModels.set(origin, id);
  job.count('logged models');
}

function chunked<T>(items: readonly T[], size: number): T[][] {
  const chunks: T[][] = [];
  for (let at = 0; at < items.length; at += size) chunks.push(items.slice(at, at + size));
  return chunks;
}
