import { type Caller, systemCaller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import { type ListPage, listPage, type PageRequest } from '../ports/page.ts';
import type { Ports } from '../ports/ports.ts';
import { WORKSPACES, workspaceChain, workspaceKey } from './keys.ts';

/** The tenant: grants, the audit trail and models belong to one. */
export interface Workspace {
  readonly format: 1;
  readonly name: string;
  readonly description: string;
  readonly createdAt: number;
  readonly createdBy: string;
}

/** The workspace that exists from the start, for those who never ask for one. */
export const DEFAULT_WORKSPACE = 'default';

/** Makes the `default` workspace if it is not there yet. */
export async function ensureDefaultWorkspace(ports: Ports): Promise<void> {
  if (await ports.table.get(workspaceKey(DEFAULT_WORKSPACE))) return;
  await createWorkspace(ports, systemCaller('start', 'start'), { name: DEFAULT_WORKSPACE, description: '' });
}

/** @throws CairnError `WORKSPACE_EXISTS` */
export async function createWorkspace(
  ports: Ports,
  caller: Caller,
  input: { name: string; description: string },
): Promise<Workspace> {
  authorize(caller, 'admin', { workspace: input.name });
  const workspace: Workspace = {
    format: 1,
    name: input.name,
    description: input.description,
    createdAt: ports.clock.now(),
    createdBy: caller.principal,
  };
  const chain = workspaceChain(input.name);
  return exclusively(chain, async () => {
    if (await ports.table.get(workspaceKey(input.name))) {
      throw new CairnError('WORKSPACE_EXISTS', `There is a workspace "${input.name}" already.`, 'name');
    }
    await commit(
      ports,
      caller,
      { chain, workspace: input.name, action: 'workspace.created', subject: input.name, after: workspace },
      [{ put: { ...workspaceKey(input.name), body: workspace }, if: 'absent' }],
    );
    return workspace;
  });
}

/** @throws CairnError `WORKSPACE_NOT_FOUND` */
export async function getWorkspace(ports: Pick<Ports, 'table'>, name: string): Promise<Workspace> {
  const item = await ports.table.get(workspaceKey(name));
  if (!item) throw new CairnError('WORKSPACE_NOT_FOUND', `There is no workspace "${name}".`, 'workspace');
  return item.body as Workspace;
}

/** The workspaces in which the caller may see something, by name. */
export async function listWorkspaces(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  page: PageRequest,
): Promise<ListPage<Workspace>> {
  const mine = (name: string) =>
    caller.grants.some(({ workspace }) => workspace === '*' || workspace === name);
  const found = await ports.table.query({ pk: WORKSPACES, ...page });
  return listPage(found, (item) => (mine(item.sk) ? (item.body as Workspace) : undefined));
}
