import { hasCode } from '../cli-error.ts';
import { type Import, type Tag, tagOf } from './import.ts';

interface RegisteredModel {
  readonly name: string;
  readonly description?: string;
  readonly tags?: Tag[];
  readonly aliases?: { alias: string; version: string }[];
}

interface ModelVersion {
  readonly version: string;
  readonly source: string;
  readonly run_id?: string;
  readonly run_link?: string;
  readonly description?: string;
  readonly current_stage?: string;
  readonly tags?: Tag[];
}

/** The tag that tells that a registered model was made by an import, and from where. */
const IMPORTED = 'cairn.imported.from';

/**
 * Copies registered models and prompts with their versions under the same numbers, aliases, tags and stages. A model of
 * that name that was not imported from there is left alone, and told.
 */
export async function importRegistered(job: Import): Promise<void> {
  for (const filter of ['', "tags.`mlflow.prompt.is_prompt` = 'true'"]) {
    const query = { filter, max_results: 1000 };
    for await (const model of job.from.all<RegisteredModel>('registered-models/search', 'registered_models', {
      query,
    }))
      await importModel(job, model);
  }
}

async function importModel(job: Import, model: RegisteredModel): Promise<void> {
  const { name, description = '', tags = [] } = model;
  const here = await modelHere(job, name);
  if (here && tagOf(here.tags, IMPORTED) !== job.from.url.href) {
    job.problem(`A model "${name}" is here already and was not imported: it was left alone.`);
    job.done((await versionsOf(job.from, name, tagOf(tags, 'mlflow.prompt.is_prompt') === 'true')).length);
    return;
  }
  if (!here) {
    const origin = { key: IMPORTED, value: job.from.url.href };
    await job.to.post('registered-models/create', { name, description, tags: [...tags, origin] });
  }
  const prompt = tagOf(tags, 'mlflow.prompt.is_prompt') === 'true';
  const versions = await versionsOf(job.from, name, prompt);
  const known = Number((await versionsOf(job.to, name, prompt)).at(-1)?.version ?? 0);
  job.done(versions.filter((one) => Number(one.version) <= known).length);
  for (let number = known + 1; number <= Number(versions.at(-1)?.version ?? 0); number++) {
    const version = versions.find((one) => Number(one.version) === number);
    if (version) await importVersion(job, name, version);
    else await leaveOut(job, name, number);
  }
  for (const { alias, version } of model.aliases ?? [])
    await job.to.post('registered-models/alias', { name, alias, version });
  job.count('registered models');
}

async function modelHere(job: Import, name: string): Promise<RegisteredModel | undefined> {
  try {
    return (await job.to.get<{ registered_model: RegisteredModel }>('registered-models/get', { name }))
      .registered_model;
  } catch (error) {
    if (hasCode(error, 'RESOURCE_DOES_NOT_EXIST')) return undefined;
    throw error;
  }
}

/** A model's versions by number. */
async function versionsOf(server: Import['from'], name: string, prompt: boolean): Promise<ModelVersion[]> {
  const quoted = name.includes("'") ? `"${name}"` : `'${name}'`;
  const filter = `name = ${quoted}${prompt ? " AND tags.`mlflow.prompt.is_prompt` = 'true'" : ''}`;
  const found = server.all<ModelVersion>('model-versions/search', 'model_versions', {
    query: { filter, max_results: 1000 },
  });
  return (await Array.fromAsync(found)).sort((a, b) => Number(a.version) - Number(b.version));
}

async function importVersion(job: Import, name: string, version: ModelVersion): Promise<void> {
  const { source, run } = sourceHere(job, version);
  const { model_version: made } = await job.to.post<{ model_version: ModelVersion }>(
    'model-versions/create',
    {
      name,
      source,
      run_id: run,
      run_link: version.run_link,
      description: version.description,
      tags: version.tags ?? [],
    },
  );
  if (made.version !== version.version)
    job.problem(`Version ${version.version} of "${name}" became version ${made.version}.`);
  const stage = version.current_stage ?? 'None';
  if (stage !== 'None')
    await job.to.post('model-versions/transition-stage', { name, version: made.version, stage });
  job.count('versions');
  job.done();
}

/** A number that was deleted there is taken and deleted here too, so that the others stay what they are. */
async function leaveOut(job: Import, name: string, number: number): Promise<void> {
  await job.to.post('model-versions/create', { name, source: `deleted:/${name}/${number}` });
  await job.to.delete('model-versions/delete', { name, version: String(number) });
}

/** What the source is called here: the run or logged model that was copied, or as it was, which makes a reference. */
function sourceHere(
  job: Import,
  { source, run_id }: ModelVersion,
): { source: string; run: string | undefined } {
  const run = run_id ? (job.runs.get(run_id) ?? run_id) : undefined;
  const loggedModel = /^(?:models:\/|mlflow-artifacts:.*\/models\/)(m-[\w-]+)(?:\/artifacts)?\/?$/.exec(
    source,
  )?.[1];
  if (loggedModel !== undefined)
    return { source: `models:/${job.loggedModels.get(loggedModel) ?? loggedModel}`, run };
  const inRun = /^(?:mlflow-artifacts:(?:\/\/[^/]*)?\/\d+\/|runs:\/)([\w-]+)\/(?:artifacts\/)?(.*)$/s.exec(
    source,
  );
  const copied = job.runs.get(inRun?.[1] ?? '');
  if (inRun && copied !== undefined) return { source: `runs:/${copied}/${inRun[2]}`, run: copied };
  return { source, run };
}
