import * as z from 'zod';
import { anyRecord } from '../../../shared/registry/any-record.ts';
import { Description, ModelName, Tags } from '../../../shared/registry/name.ts';
import { API, type Contract } from '../contract.ts';
import { later } from '../later.ts';
import { PageQuery, pageOf } from '../page.ts';
import { Time } from '../time.ts';
import { WorkspaceParam } from '../workspaces/workspaces.routes.ts';

export const ModelParam = ModelName.meta({
  description:
    'The model’s name, percent-encoded: any Unicode text of 1 to 255 bytes without "/", ":" and control characters.',
  example: 'digits',
});

export const ModelParams = z.object({ workspace: WorkspaceParam, model: ModelParam });

/** Tags in a patch: null removes one. */
export const TagsPatch = anyRecord(z.string(), z.string().nullable())
  .refine(
    (tags) =>
      Tags.safeParse(Object.fromEntries(Object.entries(tags).map(([key, value]) => [key, value ?? ''])))
        .success,
    'must have keys of 1 to 250 characters without control characters, and at most 150000 bytes in all',
  )
  .meta({
    type: 'object',
    additionalProperties: { type: ['string', 'null'] },
    description: 'Tags to set; null removes one.',
    example: { task: 'classification', draft: null },
  });

export const Reason = z.string().max(1000).optional().meta({ description: 'Why; kept in the audit trail.' });

export const Model = later(() =>
  z
    .strictObject({
      id: z.string().meta({ description: 'UUIDv7; stays when the name changes.' }),
      workspace: z.string(),
      name: z.string(),
      description: z.string(),
      tags: z.record(z.string(), z.string()),
      createdAt: Time,
      createdBy: z.string(),
      updatedAt: Time,
    })
    .meta({
      id: 'Model',
      example: {
        id: '0195f3a1-7c4e-7b53-9c1a-3a5f0c6f9b1e',
        workspace: 'default',
        name: 'digits',
        description: 'Handwritten digits',
        tags: { task: 'classification' },
        createdAt: '2026-03-01T08:30:00.000Z',
        createdBy: 'ada',
        updatedAt: '2026-03-01T08:30:00.000Z',
      },
    }),
);

export const ETAG = { ETag: 'The record’s revision, for If-Match.' };

export const listModels = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/models`,
  operationId: 'listModels',
  tag: 'models',
  summary: 'List the workspace’s models that the caller may see',
  params: z.object({ workspace: WorkspaceParam }),
  query: PageQuery.extend({
    prefix: z.string().min(1).max(255).optional().meta({ description: 'Only names that begin with this.' }),
  }),
  answers: {
    200: {
      description: 'A page of models by name. A page can be short, or empty, although another follows.',
      schema: pageOf(Model),
    },
  },
  errors: ['WORKSPACE_NOT_FOUND'],
} satisfies Contract;

export const createModel = {
  method: 'post',
  path: `${API}/workspaces/{workspace}/models`,
  operationId: 'createModel',
  tag: 'models',
  summary: 'Register a model',
  params: z.object({ workspace: WorkspaceParam }),
  body: z
    .strictObject({ name: ModelName, description: Description.default(''), tags: Tags.default({}) })
    .meta({
      id: 'NewModel',
      example: { name: 'digits', description: 'Handwritten digits', tags: { task: 'classification' } },
    }),
  idempotency: 'stored',
  answers: {
    201: { description: 'The model.', schema: Model, headers: { ...ETAG, Location: 'Where it is.' } },
  },
  errors: ['WORKSPACE_NOT_FOUND', 'MODEL_EXISTS'],
} satisfies Contract;

export const getModel = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/models/{model}`,
  operationId: 'getModel',
  cached: true,
  tag: 'models',
  summary: 'Get a model',
  params: ModelParams,
  answers: { 200: { description: 'The model.', schema: Model, headers: ETAG } },
  errors: ['MODEL_NOT_FOUND'],
} satisfies Contract;

export const updateModel = {
  method: 'patch',
  path: `${API}/workspaces/{workspace}/models/{model}`,
  operationId: 'updateModel',
  tag: 'models',
  summary: 'Change a model’s name, description or tags',
  description: 'What is not named stays. A rename moves no bytes; versions, aliases and history stay.',
  params: ModelParams,
  body: z
    .strictObject({
      name: ModelName.optional(),
      description: Description.optional(),
      tags: TagsPatch.optional(),
    })
    .meta({ id: 'ModelPatch', example: { description: 'Handwritten digits, 8 by 8' } }),
  ifMatch: true,
  answers: { 200: { description: 'The model as it is now.', schema: Model, headers: ETAG } },
  errors: ['MODEL_NOT_FOUND', 'MODEL_EXISTS', 'PRECONDITION_FAILED'],
} satisfies Contract;

export const deleteModel = {
  method: 'delete',
  path: `${API}/workspaces/{workspace}/models/{model}`,
  operationId: 'deleteModel',
  tag: 'models',
  summary: 'Delete a model with all its versions',
  description: 'Its name is free at once and its audit trail stays.',
  params: ModelParams,
  query: z.strictObject({ reason: Reason }),
  ifMatch: true,
  answers: { 204: { description: 'It is deleted.' } },
  errors: ['MODEL_NOT_FOUND', 'VERSION_IN_USE', 'PRECONDITION_FAILED'],
} satisfies Contract;

export const exportModel = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/models/{model}/repository.bundle`,
  operationId: 'exportModel',
  tag: 'models',
  summary: 'Get the model’s Git repository as a bundle',
  description:
    '`git clone` takes the file. `main` is the newest version and `v1`, `v2` … are tags; large files are Git LFS pointers.',
  params: ModelParams,
  answers: {
    200: {
      description: 'A Git bundle, version 2.',
      schema: later(() => z.string().meta({ format: 'binary' })),
      mediaType: 'application/x-git-bundle',
    },
  },
  errors: ['MODEL_NOT_FOUND', 'VERSION_NOT_FOUND'],
} satisfies Contract;
