import * as z from 'zod';
import { CairnError } from '../../../shared/errors.ts';
import { moveAlias } from '../../../shared/registry/alias.ts';
import { deleteModel } from '../../../shared/registry/delete-model.ts';
import { describeAll, type FoundModel } from '../../../shared/registry/found-model.ts';
import {
  createModel,
  getModel,
  type ModelRef,
  type StoredModel,
  updateModel,
} from '../../../shared/registry/model.ts';
import { AliasName, Description, ModelName, Tags } from '../../../shared/registry/name.ts';
import { findModels } from '../../../shared/registry/search-models.ts';
import { latestVersions } from '../../../shared/registry/stage.ts';
import { findVersion } from '../../../shared/registry/version.ts';
import { list, maxResults, object, TagList, Text, tagsOf } from './input.ts';
import { aliasesByVersion, canonicalStage, VersionNumber, versionJson } from './model-version-json.ts';
import { type Call, type Route, route } from './route.ts';
import { tagsJson } from './tags-json.ts';

const Named = object({ name: ModelName });
/** MLflow takes any alias when it looks for one; what cannot be one is not there. */
const AnyAlias = object({ name: ModelName, alias: z.string().min(1).max(255) });

const refOf = (call: Call, name: string): ModelRef => ({ workspace: call.workspace, name });

export const registeredModelRoutes: readonly Route[] = [
  route(
    'POST',
    'registered-models/create',
    object({ name: ModelName, tags: TagList, description: Description.optional() }),
    async ({ name, tags, description = '' }, call) => {
      const parsed = Tags.safeParse(tagsOf(tags));
      if (!parsed.success)
        throw new CairnError('INVALID_ARGUMENT', `tags ${parsed.error.issues[0]?.message}.`, 'tags');
      const input = { ...refOf(call, name), description, tags: parsed.data };
      const model = await createModel(call.ports, call.caller, input);
      const found = { model, latest: [], aliases: new Map(), lastUpdated: model.updatedAt };
      return { registered_model: modelJson(found) };
    },
  ),

  route('GET', 'registered-models/get', Named, async ({ name }, call) =>
    answerModel(call, await getModel(call.ports, call.caller, refOf(call, name))),
  ),

  route(
    'PATCH',
    'registered-models/update',
    object({ name: ModelName, description: Description.optional() }),
    async ({ name, description = '' }, call) =>
      answerModel(call, await updateModel(call.ports, call.caller, refOf(call, name), { description })),
  ),

  route(
    'POST',
    'registered-models/rename',
    object({ name: ModelName, new_name: ModelName }),
    async ({ name, new_name }, call) =>
      answerModel(call, await updateModel(call.ports, call.caller, refOf(call, name), { name: new_name })),
  ),

  route('DELETE', 'registered-models/delete', Named, async ({ name }, call) => {
    await deleteModel(call.ports, call.caller, refOf(call, name));
    return {};
  }),

  route(
    'GET',
    'registered-models/search',
    object({
      filter: Text.default(''),
      max_results: maxResults(100, 1000),
      order_by: list(Text),
      page_token: Text.optional(),
    }),
    async ({ filter, max_results, order_by, page_token }, call) => {
      const { items, next } = await findModels(call.ports, call.caller, {
        workspace: call.workspace,
        filter,
        orderBy: order_by,
        limit: max_results,
        pageToken: page_token,
      });
      const models = items.map(modelJson);
      return {
        ...(models.length > 0 ? { registered_models: models } : {}),
        ...(next === undefined ? {} : { next_page_token: next }),
      };
    },
  ),

  route(
    'POST',
    'registered-models/set-tag',
    object({ name: ModelName, key: z.string().min(1), value: z.string().default('') }),
    async ({ name, key, value }, call) => {
      await updateModel(call.ports, call.caller, refOf(call, name), { tags: { [key]: value } });
      return {};
    },
  ),

  route(
    'DELETE',
    'registered-models/delete-tag',
    object({ name: ModelName, key: z.string().min(1) }),
    async ({ name, key }, call) => {
      const ref = refOf(call, name);
      const { tags } = await getModel(call.ports, call.caller, ref);
      if (Object.hasOwn(tags, key))
        await updateModel(call.ports, call.caller, ref, { tags: { [key]: null } });
      return {};
    },
  ),

  route(
    'POST',
    'registered-models/alias',
    object({ name: ModelName, alias: AliasName, version: VersionNumber }),
    async ({ name, alias, version }, call) => {
      await moveAlias(call.ports, call.caller, { ...refOf(call, name), alias }, version);
      return {};
    },
  ),

  route('DELETE', 'registered-models/alias', AnyAlias, async ({ name, alias }, call) => {
    const ref = { ...refOf(call, name), alias };
    try {
      await moveAlias(call.ports, call.caller, ref, null);
    } catch (error) {
      // MLflow answers that an alias is gone also when there was none.
      if (!(error instanceof CairnError && error.code === 'ALIAS_NOT_FOUND')) throw error;
    }
    return {};
  }),

  route('GET', 'registered-models/alias', AnyAlias, async ({ name, alias }, call) => {
    const ref = refOf(call, name);
    const model = await getModel(call.ports, call.caller, ref);
    const aliases = await aliasesByVersion(call, model);
    const number = await versionNamed(call, model, alias, aliases);
    const version = await findVersion(call.ports.table, model.id, number);
    return { model_version: versionJson(model, version, aliases) };
  }),

  ...(['GET', 'POST'] as const).map((method) =>
    route(
      method,
      'registered-models/get-latest-versions',
      object({ name: ModelName, stages: list(Text) }),
      async ({ name, stages }, call) => {
        const model = await getModel(call.ports, call.caller, refOf(call, name));
        const wanted = stages.map(canonicalStage);
        const latest = await latestVersions(call.ports.table, model.id);
        const aliases = await aliasesByVersion(call, model);
        const found = latest.filter(({ stage }) => wanted.length === 0 || wanted.includes(stage));
        return found.length === 0
          ? {}
          : { model_versions: found.map((version) => versionJson(model, version, aliases)) };
      },
    ),
  ),
];

/** The number that an alias names; `latest` is the newest version, as MLflow resolves it. */
async function versionNamed(
  call: Call,
  model: StoredModel,
  alias: string,
  aliases: ReadonlyMap<number, readonly string[]>,
): Promise<number> {
  const missing = new CairnError('ALIAS_NOT_FOUND', `Registered model alias ${alias} not found.`, 'alias');
  if (alias.toLowerCase() === 'latest') {
    const newest = (await latestVersions(call.ports.table, model.id)).at(-1);
    if (!newest) throw missing;
    return newest.number;
  }
  for (const [number, names] of aliases) if (names.includes(alias)) return number;
  throw missing;
}

async function answerModel(call: Call, model: StoredModel): Promise<object> {
  const [found] = await describeAll(call.ports.table, [model]);
  return { registered_model: found && modelJson(found) };
}

export const modelJson = ({ model, latest, aliases, lastUpdated }: FoundModel) => ({
  name: model.name,
  creation_timestamp: model.createdAt,
  last_updated_timestamp: lastUpdated,
  ...(model.description === '' ? {} : { description: model.description }),
  ...(latest.length === 0
    ? {}
    : { latest_versions: latest.map((version) => versionJson(model, version, new Map())) }),
  ...tagsJson(model.tags),
  ...(aliases.size === 0
    ? {}
    : { aliases: [...aliases].map(([alias, version]) => ({ alias, version: String(version) })) }),
});
