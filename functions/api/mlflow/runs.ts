import * as z from 'zod';
import { CairnError } from '../../../shared/errors.ts';
import { offsetPage } from '../../../shared/search/offset-page.ts';
import { runArtifactUri } from '../../../shared/tracking/artifact-uri.ts';
import { deleteRunTag, logBatch } from '../../../shared/tracking/log-batch.ts';
import type { Metric } from '../../../shared/tracking/metric.ts';
import { metricHistory } from '../../../shared/tracking/metric-history.ts';
import {
  createRun,
  getRun,
  RUN_STATUSES,
  type RunStatus,
  setRunLifecycle,
  updateRun,
} from '../../../shared/tracking/run.ts';
import { type DatasetInput, logInputs, logOutputs } from '../../../shared/tracking/run-inputs.ts';
import { searchRuns } from '../../../shared/tracking/search-runs.ts';
import {
  Double,
  ENTRIES_MAX,
  Int,
  LONG_TEXT,
  list,
  listOf,
  maxResults,
  OptionalText,
  object,
  Text,
  tagsOf,
  ViewType,
} from './input.ts';
import { type Route, route } from './route.ts';
import { metricJson, runInfoJson, runJson } from './run-json.ts';

/** Clients send the id under its name of today and of before. */
const withRun = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.preprocess(
    (value) => {
      const input = value as { run_id?: unknown; run_uuid?: unknown };
      return { ...input, run_id: input.run_id || input.run_uuid };
    },
    object({ run_id: z.string().min(1), ...shape }),
  );

const KEY_MAX = 250;
const NAME = /^[\p{L}\p{N}_/.\- :]+$/u;

const Key = z
  .string()
  .min(1)
  .max(KEY_MAX, `must have at most ${KEY_MAX} characters`)
  .regex(NAME, 'may have letters, digits, "_", "-", ".", " ", ":" and "/" only')
  .refine(
    (key) =>
      !key.startsWith('/') && key.split('/').every((part) => part !== '' && part !== '.' && part !== '..'),
    'must be unique as a path',
  );

/** MLflow cuts a parameter after 6,000 characters and a tag after 8,000; here they are kept whole. */
const Value = LONG_TEXT.default('');

const Param = object({
  key: Key,
  value: Value,
});
const RunTag = object({
  key: Key,
  value: Value,
});
const MetricShape = {
  key: Key,
  value: Double,
  timestamp: Int.pipe(z.int().min(0)),
  step: Int.default(0),
  model_id: OptionalText,
  dataset_name: OptionalText,
  dataset_digest: OptionalText,
};
const MetricInput = object(MetricShape);

const ModelId = z.string().min(1).max(250);

/** Of a request to log-batch. */
const METRICS_MAX = 1000;
const PARAMS_MAX = 100;
const TAGS_MAX = 100;
const ENTITIES_MAX = 1000;

const metricOfInput = (input: z.output<typeof MetricInput>): Metric => ({
  key: input.key,
  value: input.value,
  timestamp: input.timestamp,
  step: input.step,
  ...(input.model_id === undefined ? {} : { model: input.model_id }),
  ...(input.dataset_name === undefined
    ? {}
    : { dataset: { name: input.dataset_name, digest: input.dataset_digest ?? '' } }),
});

const DatasetShape = object({
  dataset: object({
    name: z.string().min(1).max(500),
    digest: z.string().min(1).max(36),
    source_type: z.string().min(1).max(1000),
    source: z.string().min(1),
    schema: Text.optional(),
    profile: Text.optional(),
  }),
  tags: listOf(object({ key: z.string().min(1).max(255), value: z.string().max(500).default('') }), TAGS_MAX),
});

const datasetOf = ({ dataset, tags }: z.output<typeof DatasetShape>): DatasetInput => ({
  dataset: {
    name: dataset.name,
    digest: dataset.digest,
    sourceType: dataset.source_type,
    source: dataset.source,
    ...(dataset.schema === undefined ? {} : { schema: dataset.schema }),
    ...(dataset.profile === undefined ? {} : { profile: dataset.profile }),
  },
  tags,
});

const Status = z
  .union([z.enum(RUN_STATUSES), z.int().min(1).max(5)])
  .transform(
    (status): RunStatus => (typeof status === 'string' ? status : STATUS_NUMBERS[status - 1]) as RunStatus,
  );
/** By their numbers in service.proto. */
const STATUS_NUMBERS: readonly RunStatus[] = ['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED'];

export const runRoutes: readonly Route[] = [
  route(
    'POST',
    'runs/create',
    object({
      experiment_id: z.string().default('0'),
      user_id: z.string().default(''),
      run_name: OptionalText,
      start_time: Int.optional(),
      tags: listOf(RunTag, ENTRIES_MAX),
    }),
    async (input, call) => {
      const detail = await createRun(call.ports, call.caller, {
        workspace: call.workspace,
        experiment: input.experiment_id || '0',
        name: input.run_name,
        user: input.user_id,
        startTime: input.start_time ?? call.ports.clock.now(),
        tags: tagsOf(input.tags),
      });
      return { run: runJson(detail) };
    },
  ),

  route('GET', 'runs/get', withRun({}), async ({ run_id }, call) => ({
    run: runJson(await getRun(call.ports, call.caller, run_id)),
  })),

  route(
    'POST',
    'runs/update',
    withRun({ status: Status.optional(), end_time: Int.optional(), run_name: OptionalText }),
    async ({ run_id, status, end_time: endTime, run_name: name }, call) => ({
      run_info: runInfoJson(await updateRun(call.ports, call.caller, run_id, { status, endTime, name })),
    }),
  ),

  route('POST', 'runs/delete', withRun({}), async ({ run_id }, call) => {
    await setRunLifecycle(call.ports, call.caller, run_id, 'deleted');
    return {};
  }),

  route('POST', 'runs/restore', withRun({}), async ({ run_id }, call) => {
    await setRunLifecycle(call.ports, call.caller, run_id, 'active');
    return {};
  }),

  route(
    'POST',
    'runs/search',
    object({
      experiment_ids: list(Text),
      filter: Text.default(''),
      run_view_type: ViewType,
      max_results: maxResults(1000, 50_000),
      order_by: list(Text),
      page_token: Text.optional(),
    }),
    async (input, call) => {
      const { items, next } = await searchRuns(call.ports, call.caller, {
        workspace: call.workspace,
        experiments: [...new Set(input.experiment_ids)],
        filter: input.filter,
        view: input.run_view_type,
        orderBy: input.order_by,
        limit: input.max_results,
        pageToken: input.page_token,
        artifactUri: ({ run }) => runArtifactUri(run),
      });
      return {
        ...(items.length === 0 ? {} : { runs: items.map(runJson) }),
        ...(next === undefined ? {} : { next_page_token: next }),
      };
    },
  ),

  route('POST', 'runs/log-metric', withRun(MetricShape), async ({ run_id, ...metric }, call) => {
    await logBatch(call.ports, call.caller, run_id, { metrics: [metricOfInput(metric)] });
    return {};
  }),

  route(
    'POST',
    'runs/log-parameter',
    withRun({ key: Key, value: Value }),
    async ({ run_id, key, value }, call) => {
      await logBatch(call.ports, call.caller, run_id, { params: [{ key, value }] });
      return {};
    },
  ),

  route(
    'POST',
    'runs/log-batch',
    withRun({ metrics: list(MetricInput), params: list(Param), tags: list(RunTag) }),
    async ({ run_id, metrics, params, tags }, call) => {
      requireAtMost('metrics', metrics.length, METRICS_MAX);
      requireAtMost('params', params.length, PARAMS_MAX);
      requireAtMost('tags', tags.length, TAGS_MAX);
      requireAtMost('entities', metrics.length + params.length + tags.length, ENTITIES_MAX);
      await logBatch(call.ports, call.caller, run_id, { metrics: metrics.map(metricOfInput), params, tags });
      return {};
    },
  ),

  route('POST', 'runs/set-tag', withRun({ key: Key, value: Value }), async ({ run_id, key, value }, call) => {
    await logBatch(call.ports, call.caller, run_id, { tags: [{ key, value }] });
    return {};
  }),

  route('POST', 'runs/delete-tag', withRun({ key: Text }), async ({ run_id, key }, call) => {
    await deleteRunTag(call.ports, call.caller, run_id, key);
    return {};
  }),

  route(
    'POST',
    'runs/log-inputs',
    withRun({
      datasets: listOf(DatasetShape, ENTRIES_MAX),
      models: listOf(object({ model_id: ModelId }), ENTRIES_MAX),
    }),
    async ({ run_id, datasets, models }, call) => {
      await logInputs(call.ports, call.caller, run_id, {
        datasets: datasets.map(datasetOf),
        models: models.map(({ model_id }) => ({ model: model_id })),
      });
      return {};
    },
  ),

  route(
    'POST',
    'runs/outputs',
    withRun({ models: listOf(object({ model_id: ModelId, step: Int.default(0) }), ENTRIES_MAX) }),
    async ({ run_id, models }, call) => {
      const outputs = models.map(({ model_id, step }) => ({ model: model_id, step }));
      await logOutputs(call.ports, call.caller, run_id, outputs);
      return {};
    },
  ),

  route(
    'GET',
    'metrics/get-history',
    withRun({
      metric_key: Text,
      max_results: Int.pipe(z.int().min(1).max(25_000)).optional(),
      page_token: Text.optional(),
    }),
    async ({ run_id, metric_key, max_results, page_token }, call) => {
      const all = await metricHistory(call.ports, call.caller, run_id, metric_key);
      const { items, next } = offsetPage(all, page_token, max_results ?? all.length);
      return {
        ...(items.length === 0 ? {} : { metrics: items.map(metricJson) }),
        ...(next === undefined ? {} : { next_page_token: next }),
      };
    },
  ),

  route(
    'GET',
    'metrics/get-history-bulk',
    object({ run_id: list(Text), metric_key: Text, max_results: maxResults(25_000, 25_000) }),
    async ({ run_id, metric_key, max_results }, call) => {
      requireAtMost('runs', run_id.length, 100);
      const histories = await Promise.all(
        run_id.map(async (id) => {
          const metrics = await metricHistory(call.ports, call.caller, id, metric_key);
          return metrics.map((metric) => ({ ...metricJson(metric), run_id: id }));
        }),
      );
      return { metrics: histories.flat().slice(0, max_results) };
    },
  ),
];

function requireAtMost(what: string, count: number, most: number): void {
  if (count > most)
    throw new CairnError(
      'INVALID_ARGUMENT',
      `A request has at most ${most} ${what}; this one has ${count}.`,
      what,
    );
}
