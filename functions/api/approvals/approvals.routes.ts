import * as z from 'zod';
import { API, type Contract } from '../contract.ts';
import { ETAG } from '../models/models.routes.ts';
import { PageQuery, pageOf } from '../page.ts';
import { Approval, Version, VersionParams } from '../versions/versions.routes.ts';

export const decideApproval = {
  method: 'post',
  path: `${API}/workspaces/{workspace}/models/{model}/versions/{version}/approval`,
  operationId: 'decideApproval',
  tag: 'approvals',
  summary: 'Approve or reject a READY version',
  description: 'By someone other than its author. Earlier decisions stay in the history.',
  params: VersionParams,
  body: z
    .strictObject({ state: z.enum(['APPROVED', 'REJECTED']), comment: z.string().max(1000).optional() })
    .meta({ id: 'Decision', example: { state: 'APPROVED', comment: 'Checked on the holdout set' } }),
  ifMatch: true,
  idempotency: 'stored',
  answers: { 200: { description: 'The version as it is now.', schema: Version, headers: ETAG } },
  errors: [
    'MODEL_NOT_FOUND',
    'VERSION_NOT_FOUND',
    'VERSION_NOT_READY',
    'SELF_APPROVAL',
    'PRECONDITION_FAILED',
  ],
} satisfies Contract;

export const listApprovals = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/models/{model}/versions/{version}/approval`,
  operationId: 'listApprovals',
  tag: 'approvals',
  summary: 'List the decisions on a version, newest first',
  params: VersionParams,
  query: PageQuery,
  answers: { 200: { description: 'A page of decisions.', schema: pageOf(Approval) } },
  errors: ['MODEL_NOT_FOUND', 'VERSION_NOT_FOUND'],
} satisfies Contract;
