import * as z from 'zod';
import { WorkspaceName } from '../../../shared/registry/name.ts';
import { API, type Contract } from '../contract.ts';
import { Model } from '../models/models.routes.ts';
import { PageQuery, pageOf } from '../page.ts';

export const search = {
  method: 'get',
  path: `${API}/search`,
  operationId: 'searchModels',
  tag: 'search',
  summary: 'Find models by name, description or tags',
  query: PageQuery.extend({
    q: z
      .string()
      .min(1)
      .max(255)
      .meta({ description: 'The text to find, whatever its case.', example: 'digits' }),
    workspace: WorkspaceName.default('default').meta({ description: 'Where to look.' }),
  }),
  answers: { 200: { description: 'A page of models by name.', schema: pageOf(Model) } },
  errors: ['WORKSPACE_NOT_FOUND'],
} satisfies Contract;
