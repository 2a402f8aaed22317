import { deleteModel } from '../../../shared/registry/delete-model.ts';
import { exportBundle } from '../../../shared/registry/export.ts';
import {
  createModel,
  getModel,
  listModels,
  type StoredModel,
  updateModel,
} from '../../../shared/registry/model.ts';
import { contentDisposition } from '../content-disposition.ts';
import { apiPath, created, NO_CONTENT, ok, type Register } from '../contract.ts';
import type { ApiDeps } from '../deps.ts';
import { etagOf } from '../etag.ts';
import { pageJson } from '../page.ts';
import { rfc3339 } from '../time.ts';
import * as routes from './models.routes.ts';

export function registerModels(register: Register, { ports }: ApiDeps): void {
  register(routes.listModels, async ({ params, query }, { caller }) => {
    const { workspace } = params;
    const { prefix, limit, cursor } = query;
    return ok(
      pageJson(await listModels(ports, caller, { workspace, prefix, limit, after: cursor }), modelJson),
    );
  });

  register(routes.createModel, async ({ params, body }, { caller }) => {
    const { workspace } = params;
    const model = await createModel(ports, caller, { workspace, ...body });
    const location = apiPath('workspaces', workspace, 'models', model.name);
    return created(modelJson(model), location, { etag: etagOf(model.rev) });
  });

  register(routes.getModel, async ({ params }, { caller }) => {
    const model = await getModel(ports, caller, { workspace: params.workspace, name: params.model });
    return ok(modelJson(model), { etag: etagOf(model.rev) });
  });

  register(routes.updateModel, async ({ params, body, ifMatch }, { caller }) => {
    const ref = { workspace: params.workspace, name: params.model };
    const model = await updateModel(ports, caller, ref, body, ifMatch === '*' ? undefined : ifMatch);
    return ok(modelJson(model), { etag: etagOf(model.rev) });
  });

  register(routes.deleteModel, async ({ params, query, ifMatch }, { caller }) => {
    const ref = { workspace: params.workspace, name: params.model };
    await deleteModel(ports, caller, ref, {
      ...(typeof ifMatch === 'number' ? { ifMatch } : {}),
      ...(query.reason === undefined ? {} : { reason: query.reason }),
    });
    return NO_CONTENT;
  });

  register(routes.exportModel, async ({ params }, { caller, requestId }) => {
    const bundle = await exportBundle(ports, caller, { workspace: params.workspace, name: params.model });
    return new Response(ReadableStream.from(bundle) as ReadableStream<Uint8Array>, {
      headers: {
        'content-type': 'application/x-git-bundle',
        'content-disposition': contentDisposition(`${params.model}.bundle`),
        'x-request-id': requestId,
      },
    });
  });
}

export const modelJson = (model: StoredModel) => ({
  id: model.id,
  workspace: model.workspace,
  name: model.name,
  description: model.description,
  tags: model.tags,
  createdAt: rfc3339(model.createdAt),
  createdBy: model.createdBy,
  updatedAt: rfc3339(model.updatedAt),
});
