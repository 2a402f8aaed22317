import * as z from 'zod';
import { artifactOwner } from '../../../shared/tracking/artifact.ts';
import { loggedModelArtifactUri } from '../../../shared/tracking/artifact-uri.ts';
import {
  createLoggedModel,
  deleteLoggedModel,
  deleteLoggedModelTag,
  finishLoggedModel,
  getLoggedModel,
  type LoggedModelDetail,
  type LoggedModelStatus,
  logLoggedModelParams,
  type ModelMetric,
  setLoggedModelTags,
} from '../../../shared/tracking/logged-model.ts';
import { searchLoggedModels } from '../../../shared/tracking/search-logged-models.ts';
import { listing } from './artifacts.ts';
import { Bool, ENTRIES_MAX, Entry, list, listOf, maxResults, OptionalText, object, Text } from './input.ts';
import { type Route, route } from './route.ts';
import { entriesJson, metricJson } from './run-json.ts';

const Identified = { model_id: Text };

/** By their names in the client's language and their numbers in service.proto. */
const STATUSES: Readonly<Record<string, LoggedModelStatus>> = {
  LOGGED_MODEL_PENDING: 'PENDING',
  LOGGED_MODEL_READY: 'READY',
  LOGGED_MODEL_UPLOAD_FAILED: 'FAILED',
  '1': 'PENDING',
  '2': 'READY',
  '3': 'FAILED',
};
const STATUS_NAMES = {
  PENDING: 'LOGGED_MODEL_PENDING',
  READY: 'LOGGED_MODEL_READY',
  FAILED: 'LOGGED_MODEL_UPLOAD_FAILED',
} as const;

const Status = z
  .union([z.string(), z.int()])
  .transform((status) => STATUSES[String(status)])
  .pipe(z.enum(['PENDING', 'READY', 'FAILED'], 'must be LOGGED_MODEL_PENDING, _READY or _UPLOAD_FAILED'));

export const loggedModelRoutes: readonly Route[] = [
  route(
    'POST',
    'logged-models',
    object({
      experiment_id: Text,
      name: OptionalText,
      model_type: z.string().default(''),
      source_run_id: z.string().default(''),
      params: listOf(Entry, ENTRIES_MAX),
      tags: listOf(Entry, ENTRIES_MAX),
    }),
    async (input, call) => ({
      model: loggedModelJson(
        await createLoggedModel(call.ports, call.caller, {
          workspace: call.workspace,
          experiment: input.experiment_id,
          name: input.name,
          modelType: input.model_type,
          sourceRun: input.source_run_id,
          params: input.params,
          tags: input.tags,
        }),
      ),
    }),
  ),

  route(
    'POST',
    'logged-models/search',
    object({
      experiment_ids: list(Text),
      filter: Text.default(''),
      datasets: list(object({ dataset_name: Text, dataset_digest: OptionalText })),
      max_results: maxResults(100, 50_000),
      order_by: list(
        object({
          field_name: Text,
          ascending: Bool.default(true),
          dataset_name: OptionalText,
          dataset_digest: OptionalText,
        }),
      ),
      page_token: Text.optional(),
    }),
    async (input, call) => {
      const { items, next } = await searchLoggedModels(call.ports, call.caller, {
        workspace: call.workspace,
        experiments: [...new Set(input.experiment_ids)],
        filter: input.filter,
        datasets: input.datasets.map(({ dataset_name, dataset_digest }) => ({
          name: dataset_name,
          digest: dataset_digest,
        })),
        orderBy: input.order_by.map(({ field_name, ascending, dataset_name, dataset_digest }) => ({
          field: field_name,
          ascending,
          dataset: dataset_name === undefined ? undefined : { name: dataset_name, digest: dataset_digest },
        })),
        limit: input.max_results,
        pageToken: input.page_token,
      });
      return {
        ...(items.length === 0 ? {} : { models: items.map(loggedModelJson) }),
        ...(next === undefined ? {} : { next_page_token: next }),
      };
    },
  ),

  route(
    'GET',
    'logged-models/:model_id',
    object({ ...Identified, allow_deleted: Bool.default(false) }),
    async ({ model_id, allow_deleted: deleted }, call) => ({
      model: loggedModelJson(await getLoggedModel(call.ports, call.caller, model_id, { deleted })),
    }),
  ),

  route(
    'PATCH',
    'logged-models/:model_id',
    object({ ...Identified, status: Status }),
    async ({ model_id, status }, call) => ({
      model: loggedModelJson(await finishLoggedModel(call.ports, call.caller, model_id, status)),
    }),
  ),

  route('DELETE', 'logged-models/:model_id', object(Identified), async ({ model_id }, call) => {
    await deleteLoggedModel(call.ports, call.caller, model_id);
    return {};
  }),

  route(
    'POST',
    'logged-models/:model_id/params',
    object({ ...Identified, params: listOf(Entry, ENTRIES_MAX) }),
    async ({ model_id, params }, call) => {
      await logLoggedModelParams(call.ports, call.caller, model_id, params);
      return {};
    },
  ),

  route(
    'PATCH',
    'logged-models/:model_id/tags',
    object({ ...Identified, tags: listOf(Entry, ENTRIES_MAX) }),
    async ({ model_id, tags }, call) => {
      await setLoggedModelTags(call.ports, call.caller, model_id, tags);
      return {};
    },
  ),

  route(
    'DELETE',
    'logged-models/:model_id/tags/:tag_key',
    object({ ...Identified, tag_key: Text }),
    async ({ model_id, tag_key }, call) => {
      await deleteLoggedModelTag(call.ports, call.caller, model_id, tag_key);
      return {};
    },
  ),

  route(
    'GET',
    'logged-models/:model_id/artifacts/directories',
    object({ ...Identified, artifact_directory_path: z.string().default(''), page_token: Text.optional() }),
    async ({ model_id, artifact_directory_path: folder, page_token }, call) => {
      const { model } = await getLoggedModel(call.ports, call.caller, model_id);
      const owner = await artifactOwner(call.ports.table, 'logged-model', model_id);
      return { root_uri: loggedModelArtifactUri(model), ...(await listing(call, owner, folder, page_token)) };
    },
  ),
];

const loggedModelJson = ({ model, params, tags, metrics }: LoggedModelDetail) => ({
  info: {
    model_id: model.id,
    experiment_id: model.experiment,
    name: model.name,
    creation_timestamp_ms: model.createdAt,
    last_updated_timestamp_ms: model.updatedAt,
    artifact_uri: loggedModelArtifactUri(model),
    status: STATUS_NAMES[model.status],
    ...(model.modelType === '' ? {} : { model_type: model.modelType }),
    ...(model.sourceRun === '' ? {} : { source_run_id: model.sourceRun }),
    ...(tags.size === 0 ? {} : { tags: entriesJson(tags) }),
  },
  data: {
    ...(params.size === 0 ? {} : { params: entriesJson(params) }),
    ...(metrics.length === 0 ? {} : { metrics: metrics.map(modelMetricJson) }),
  },
});

const modelMetricJson = (metric: ModelMetric) => ({
  ...metricJson(metric),
  ...(metric.dataset === undefined
    ? {}
    : { dataset_name: metric.dataset.name, dataset_digest: metric.dataset.digest }),
  model_id: metric.model,
  run_id: metric.run,
});
