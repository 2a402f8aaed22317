import * as z from 'zod';
import { Description, WorkspaceName } from '../../../shared/registry/name.ts';
import { API, type Contract } from '../contract.ts';
import { later } from '../later.ts';
import { PageQuery, pageOf } from '../page.ts';
import { Time } from '../time.ts';

export const WorkspaceParam = WorkspaceName.meta({
  description: 'The workspace; `default` for those who never asked for one.',
  example: 'default',
});

export const Workspace = later(() =>
  z.strictObject({ name: z.string(), description: z.string(), createdAt: Time, createdBy: z.string() }).meta({
    id: 'Workspace',
    example: {
      name: 'default',
      description: '',
      createdAt: '2026-03-01T08:30:00.000Z',
      createdBy: 'system:start',
    },
  }),
);

export const listWorkspaces = {
  method: 'get',
  path: `${API}/workspaces`,
  operationId: 'listWorkspaces',
  tag: 'workspaces',
  summary: 'List the workspaces in which the caller may see something',
  query: PageQuery,
  answers: {
    200: { description: 'A page of workspaces by name.', schema: pageOf(Workspace) },
  },
} satisfies Contract;

export const createWorkspace = {
  method: 'post',
  path: `${API}/workspaces`,
  operationId: 'createWorkspace',
  tag: 'workspaces',
  summary: 'Make a workspace',
  body: z.strictObject({ name: WorkspaceName, description: Description.default('') }).meta({
    id: 'NewWorkspace',
    example: { name: 'research', description: 'Models that are not served yet' },
  }),
  idempotency: 'stored',
  answers: {
    201: { description: 'The workspace.', schema: Workspace, headers: { Location: 'Where it is.' } },
  },
  errors: ['WORKSPACE_EXISTS'],
} satisfies Contract;

export const getWorkspace = {
  method: 'get',
  path: `${API}/workspaces/{workspace}`,
  operationId: 'getWorkspace',
  tag: 'workspaces',
  summary: 'Get a workspace',
  params: z.object({ workspace: WorkspaceParam }),
  answers: { 200: { description: 'The workspace.', schema: Workspace } },
  errors: ['WORKSPACE_NOT_FOUND'],
} satisfies Contract;
