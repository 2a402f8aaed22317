import { CairnError } from '../../../shared/errors.ts';
import * as registry from '../../../shared/registry/workspace.ts';
import { apiPath, created, ok, type Register } from '../contract.ts';
import type { ApiDeps } from '../deps.ts';
import { pageJson } from '../page.ts';
import { rfc3339 } from '../time.ts';
import * as routes from './workspaces.routes.ts';

export function registerWorkspaces(register: Register, { ports }: ApiDeps): void {
  register(routes.listWorkspaces, async ({ query }, { caller }) => {
    const page = { limit: query.limit, after: query.cursor };
    return ok(pageJson(await registry.listWorkspaces(ports, caller, page), workspaceJson));
  });

  register(routes.createWorkspace, async ({ body }, { caller }) => {
    const workspace = await registry.createWorkspace(ports, caller, body);
    return created(workspaceJson(workspace), apiPath('workspaces', workspace.name));
  });

  register(routes.getWorkspace, async ({ params }, { caller }) => {
    const { workspace } = params;
    const sees = caller.grants.some((grant) => grant.workspace === '*' || grant.workspace === workspace);
    if (!sees)
      throw new CairnError(
        'PERMISSION_DENIED',
        `${caller.principal} has no role in workspace "${workspace}".`,
      );
    return ok(workspaceJson(await registry.getWorkspace(ports, workspace)));
  });
}

const workspaceJson = ({ name, description, createdAt, createdBy }: registry.Workspace) => ({
  name,
  description,
  createdAt: rfc3339(createdAt),
  createdBy,
});
