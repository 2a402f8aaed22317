import * as z from 'zod';
import { CairnError } from '../../../shared/errors.ts';
import { listAliases, moveAlias } from '../../../shared/registry/alias.ts';
import { getModel, type StoredModel } from '../../../shared/registry/model.ts';
import { Description, ModelName, Tags } from '../../../shared/registry/name.ts';
import { findVersions } from '../../../shared/registry/search-versions.ts';
import { moveToStage } from '../../../shared/registry/stage.ts';
import {
  deleteVersion,
  getVersion,
  type StoredVersion,
  updateVersion,
  type VersionRef,
} from '../../../shared/registry/version.ts';
import { editLoggedModelTag } from '../../../shared/tracking/logged-model.ts';
import { registerVersion } from '../../../shared/tracking/register-version.ts';
import { Bool, list, maxResults, OptionalText, object, TagList, Text, tagsOf } from './input.ts';
import {
  aliasesByVersion,
  canonicalStage,
  VersionNumber,
  versionJson,
  versionPath,
} from './model-version-json.ts';
import { type Call, type Route, route } from './route.ts';

const Numbered = { name: ModelName, version: VersionNumber };

const refOf = (call: Call, { name, version }: { name: string; version: number }): VersionRef => ({
  workspace: call.workspace,
  name,
  number: version,
});

export const modelVersionRoutes: readonly Route[] = [
  route(
    'POST',
    'model-versions/create',
    object({
      name: ModelName,
      source: z.string().min(1).max(10_000),
      run_id: OptionalText,
      model_id: OptionalText,
      run_link: OptionalText,
      description: Description.default(''),
      tags: TagList,
    }),
    async (input, call) => {
      const tags = Tags.safeParse(tagsOf(input.tags));
      if (!tags.success)
        throw new CairnError('INVALID_ARGUMENT', `tags ${tags.error.issues[0]?.message}.`, 'tags');
      const ref = { workspace: call.workspace, name: input.name };
      const registration = {
        ...ref,
        source: input.source,
        run: input.run_id,
        loggedModel: input.model_id,
        runLink: input.run_link,
        description: input.description,
        tags: tags.data,
      };
      const version = await registerVersion(call.ports, call.caller, registration, call.verifyLater);
      if (input.model_id !== undefined)
        await tellLoggedModel(call, input.model_id, input.name, version.number);
      return { model_version: versionJson(await getModel(call.ports, call.caller, ref), version, new Map()) };
    },
  ),

  route('GET', 'model-versions/get', object(Numbered), async (input, call) =>
    answerVersion(call, input, await getVersion(call.ports, call.caller, refOf(call, input))),
  ),

  route(
    'PATCH',
    'model-versions/update',
    object({ ...Numbered, description: Description.optional() }),
    async ({ description, ...input }, call) => {
      const patch = description === undefined ? {} : { description };
      return answerVersion(
        call,
        input,
        await updateVersion(call.ports, call.caller, refOf(call, input), patch),
      );
    },
  ),

  route('DELETE', 'model-versions/delete', object(Numbered), async (input, call) => {
    const ref = refOf(call, input);
    await getVersion(call.ports, call.caller, ref);
    // MLflow takes the aliases of a version along.
    for (const { alias, version } of (await listAliases(call.ports, call.caller, ref, { limit: 1000 }))
      .items) {
      if (version === ref.number)
        await moveAlias(call.ports, call.caller, { ...ref, alias }, null, { expected: { version } });
    }
    await deleteVersion(call.ports, call.caller, ref);
    return {};
  }),

  route(
    'GET',
    'model-versions/search',
    object({
      filter: Text.default(''),
      max_results: maxResults(10_000, 200_000),
      order_by: list(Text),
      page_token: Text.optional(),
    }),
    async ({ filter, max_results, order_by, page_token }, call) => {
      const { items, next } = await findVersions(call.ports, call.caller, {
        workspace: call.workspace,
        filter,
        orderBy: order_by,
        limit: max_results,
        pageToken: page_token,
      });
      const aliases = new Map<string, Map<number, string[]>>();
      for (const { model } of items) {
        if (!aliases.has(model.id)) aliases.set(model.id, await aliasesByVersion(call, model));
      }
      const found = items.map(({ model, version }) =>
        versionJson(model, version, aliases.get(model.id) ?? new Map()),
      );
      return {
        ...(found.length === 0 ? {} : { model_versions: found }),
        ...(next === undefined ? {} : { next_page_token: next }),
      };
    },
  ),

  route(
    'POST',
    'model-versions/set-tag',
    object({ ...Numbered, key: z.string().min(1), value: z.string().default('') }),
    async ({ key, value, ...input }, call) => {
      await updateVersion(call.ports, call.caller, refOf(call, input), { tags: { [key]: value } });
      return {};
    },
  ),

  route(
    'DELETE',
    'model-versions/delete-tag',
    object({ ...Numbered, key: z.string().min(1) }),
    async ({ key, ...input }, call) => {
      const ref = refOf(call, input);
      const { tags } = await getVersion(call.ports, call.caller, ref);
      if (Object.hasOwn(tags, key))
        await updateVersion(call.ports, call.caller, ref, { tags: { [key]: null } });
      return {};
    },
  ),

  route(
    'POST',
    'model-versions/transition-stage',
    object({ ...Numbered, stage: Text, archive_existing_versions: Bool.default(false) }),
    async ({ stage, archive_existing_versions: archive, ...input }, call) => {
      const to = canonicalStage(stage);
      if (archive && to !== 'Staging' && to !== 'Production') {
        throw new CairnError(
          'INVALID_ARGUMENT',
          `archive_existing_versions goes with Staging or Production, not with ${stage}.`,
          'archive_existing_versions',
        );
      }
      const ref = refOf(call, input);
      return answerVersion(call, input, await moveToStage(call.ports, call.caller, ref, to, { archive }));
    },
  ),

  route('GET', 'model-versions/get-download-uri', object(Numbered), async (input, call) => {
    const ref = refOf(call, input);
    const version = await getVersion(call.ports, call.caller, ref);
    const model = await getModel(call.ports, call.caller, ref);
    return { artifact_uri: downloadUri(call, model, version) };
  }),
];

/**
 * Where a client reads a version's files: the commit's own, which nobody can change any more, and not the run's. An http
 * address, so that it is found also by a client whose runs are tracked elsewhere.
 */
function downloadUri(call: Call, model: StoredModel, version: StoredVersion): string {
  return (
    version.reference ??
    `${call.origin}/api/2.0/mlflow-artifacts/artifacts/${versionPath(model.id, version.number)}`
  );
}

async function answerVersion(
  call: Call,
  { name }: { name: string },
  version: StoredVersion,
): Promise<object> {
  const model = await getModel(call.ports, call.caller, { workspace: call.workspace, name });
  return { model_version: versionJson(model, version, await aliasesByVersion(call, model)) };
}

/** A logged model's tag says which versions were made of it (MLflow's MLFLOW_MODEL_VERSIONS). */
const tellLoggedModel = (call: Call, id: string, name: string, version: number): Promise<void> =>
  editLoggedModelTag(call.ports, call.caller, id, VERSIONS_TAG, (told) =>
    JSON.stringify([...versionsTold(told), { name, version }]),
  );

/** Anybody may have written the tag: what is no list is begun anew. */
function versionsTold(tag: string | undefined): unknown[] {
  try {
    const told: unknown = JSON.parse(tag ?? '[]');
    return Array.isArray(told) ? told : [];
  } catch {
    return [];
  }
}

const VERSIONS_TAG = 'mlflow.modelVersions';
