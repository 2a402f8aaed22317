import * as z from 'zod';
import { CairnError } from '../../../shared/errors.ts';
import { artifactPathOf, experimentArtifactUri } from '../../../shared/tracking/artifact-uri.ts';
import {
  createExperiment,
  type Experiment,
  getExperiment,
  getExperimentByName,
  updateExperiment,
} from '../../../shared/tracking/experiment.ts';
import { searchExperiments } from '../../../shared/tracking/search-experiments.ts';
import { list, maxResults, OptionalText, object, TagList, Text, tagsOf, ViewType } from './input.ts';
import { type Route, route } from './route.ts';
import { tagsJson } from './tags-json.ts';

const Identified = { experiment_id: z.string().min(1) };
const Search = object({
  filter: Text.default(''),
  max_results: maxResults(1000, 50_000),
  order_by: list(Text),
  page_token: Text.optional(),
  view_type: ViewType,
});

export const experimentRoutes: readonly Route[] = [
  route(
    'POST',
    'experiments/create',
    object({ name: Text, artifact_location: OptionalText, tags: TagList }),
    async ({ name, artifact_location: artifactLocation, tags }, call) => {
      refuseOwnLocation(artifactLocation);
      const { workspace } = call;
      const input = { workspace, name, artifactLocation, tags: tagsOf(tags) };
      return { experiment_id: (await createExperiment(call.ports, call.caller, input)).id };
    },
  ),

  route('GET', 'experiments/get', object(Identified), async ({ experiment_id }, call) => ({
    experiment: experimentJson(await getExperiment(call.ports, call.caller, call.workspace, experiment_id)),
  })),

  route('GET', 'experiments/get-by-name', object({ experiment_name: Text }), async (input, call) => ({
    experiment: experimentJson(
      await getExperimentByName(call.ports, call.caller, call.workspace, input.experiment_name),
    ),
  })),

  ...(['GET', 'POST'] as const).map((method) =>
    route(method, 'experiments/search', Search, async (input, call) => {
      const { items, next } = await searchExperiments(call.ports, call.caller, {
        workspace: call.workspace,
        filter: input.filter,
        view: input.view_type,
        orderBy: input.order_by,
        limit: input.max_results,
        pageToken: input.page_token,
      });
      return {
        ...(items.length === 0 ? {} : { experiments: items.map(experimentJson) }),
        ...(next === undefined ? {} : { next_page_token: next }),
      };
    }),
  ),

  route(
    'POST',
    'experiments/update',
    object({ ...Identified, new_name: OptionalText }),
    async ({ experiment_id, new_name: name }, call) => {
      if (name !== undefined)
        await updateExperiment(call.ports, call.caller, call.workspace, experiment_id, { name });
      return {};
    },
  ),

  route('POST', 'experiments/delete', object(Identified), async ({ experiment_id }, call) => {
    await updateExperiment(call.ports, call.caller, call.workspace, experiment_id, { lifecycle: 'deleted' });
    return {};
  }),

  route('POST', 'experiments/restore', object(Identified), async ({ experiment_id }, call) => {
    await updateExperiment(call.ports, call.caller, call.workspace, experiment_id, { lifecycle: 'active' });
    return {};
  }),

  route(
    'POST',
    'experiments/set-experiment-tag',
    object({ ...Identified, key: z.string().min(1).max(250), value: z.string().max(20_000).default('') }),
    async ({ experiment_id, key, value }, call) => {
      await updateExperiment(call.ports, call.caller, call.workspace, experiment_id, {
        tags: { [key]: value },
      });
      return {};
    },
  ),

  route(
    'POST',
    'experiments/delete-experiment-tag',
    object({ ...Identified, key: z.string().min(1) }),
    async ({ experiment_id, key }, call) => {
      const { tags } = await getExperiment(call.ports, call.caller, call.workspace, experiment_id);
      if (!Object.hasOwn(tags, key))
        throw new CairnError('TAG_NOT_FOUND', `Experiment ${experiment_id} has no tag "${key}".`, 'key');
      await updateExperiment(call.ports, call.caller, call.workspace, experiment_id, {
        tags: { [key]: null },
      });
      return {};
    },
  ),
];

/** @throws CairnError `INVALID_ARGUMENT` for a folder of this server that no experiment can choose */
function refuseOwnLocation(location: string | undefined): void {
  if (location === undefined) return;
  const refuse = (why: string) => {
    throw new CairnError('INVALID_ARGUMENT', `artifact_location '${location}' ${why}.`, 'artifact_location');
  };
  if (artifactPathOf(location) !== undefined)
    refuse('is Cairn’s own: leave it out, and Cairn chooses the place');
  if (location.startsWith('runs:')) refuse('is in a run');
  if (location.length > 2048) refuse('has over 2048 characters');
}

const experimentJson = (experiment: Experiment) => ({
  experiment_id: experiment.id,
  name: experiment.name,
  artifact_location: experimentArtifactUri(experiment),
  lifecycle_stage: experiment.lifecycle,
  last_update_time: experiment.updatedAt,
  creation_time: experiment.createdAt,
  ...tagsJson(experiment.tags),
});
