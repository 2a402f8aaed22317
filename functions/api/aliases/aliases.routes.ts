import * as z from 'zod';
import { AliasName } from '../../../shared/registry/name.ts';
import { API, type Contract } from '../contract.ts';
import { later } from '../later.ts';
import { ETAG, ModelParams, Reason } from '../models/models.routes.ts';
import { PageQuery, pageOf } from '../page.ts';
import { Time } from '../time.ts';
import { Version } from '../versions/versions.routes.ts';

const AliasParams = ModelParams.extend({
  alias: AliasName.meta({ description: 'The alias.', example: 'champion' }),
});

const Alias = later(() =>
  z.strictObject({ alias: z.string(), version: z.int(), movedAt: Time, movedBy: z.string() }).meta({
    id: 'Alias',
    example: { alias: 'champion', version: 3, movedAt: '2026-03-01T08:30:00.000Z', movedBy: 'ada' },
  }),
);

const AliasMove = later(() =>
  z
    .strictObject({
      seq: z.int(),
      from: z.int().nullable(),
      to: z.int().nullable(),
      at: Time,
      by: z.string(),
      reason: z.string().optional(),
    })
    .meta({ id: 'AliasMove', description: 'One move; null stands for no version.' }),
);

const ExpectedVersion = z.int().min(1).nullable().optional().meta({
  description: 'The version that the alias must name now; null for none. Otherwise ALIAS_CONFLICT.',
});

export const listAliases = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/models/{model}/aliases`,
  operationId: 'listAliases',
  tag: 'aliases',
  summary: 'List a model’s aliases',
  params: ModelParams,
  query: PageQuery,
  answers: { 200: { description: 'A page of aliases by name.', schema: pageOf(Alias) } },
  errors: ['MODEL_NOT_FOUND'],
} satisfies Contract;

export const getAlias = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/models/{model}/aliases/{alias}`,
  operationId: 'getAlias',
  cached: true,
  tag: 'aliases',
  summary: 'Get an alias and the version it names',
  params: AliasParams,
  answers: {
    200: {
      description: 'The alias and its version.',
      schema: later(() => Alias().extend({ modelVersion: Version() }).meta({ id: 'AliasWithVersion' })),
      headers: { ETag: 'The alias’ revision, for If-Match.' },
    },
  },
  errors: ['MODEL_NOT_FOUND', 'ALIAS_NOT_FOUND'],
} satisfies Contract;

export const putAlias = {
  method: 'put',
  path: `${API}/workspaces/{workspace}/models/{model}/aliases/{alias}`,
  operationId: 'putAlias',
  tag: 'aliases',
  summary: 'Point an alias at a READY version',
  description:
    'With `expectedVersion` or `If-Match` it moves only if it is where the caller believes: compare-and-swap.',
  params: AliasParams,
  body: z.strictObject({ version: z.int().min(1), expectedVersion: ExpectedVersion, reason: Reason }).meta({
    id: 'AliasTarget',
    example: { version: 3, expectedVersion: 2, reason: 'Better on the holdout set' },
  }),
  ifMatch: true,
  answers: { 200: { description: 'The alias as it is now.', schema: Alias, headers: ETAG } },
  errors: [
    'MODEL_NOT_FOUND',
    'VERSION_NOT_FOUND',
    'VERSION_NOT_READY',
    'ALIAS_NOT_FOUND',
    'ALIAS_CONFLICT',
    'PRECONDITION_FAILED',
  ],
} satisfies Contract;

export const deleteAlias = {
  method: 'delete',
  path: `${API}/workspaces/{workspace}/models/{model}/aliases/{alias}`,
  operationId: 'deleteAlias',
  tag: 'aliases',
  summary: 'Delete an alias',
  description: 'Its history stays.',
  params: AliasParams,
  query: z.strictObject({
    expectedVersion: z
      .string()
      .regex(/^[1-9]\d{0,8}$/, 'must be a version’s number')
      .transform(Number)
      .optional()
      .meta({
        type: 'integer',
        minimum: 1,
        pattern: undefined,
        description: 'The version that the alias must name now.',
      }),
    reason: Reason,
  }),
  ifMatch: true,
  answers: { 204: { description: 'It is deleted.' } },
  errors: ['MODEL_NOT_FOUND', 'ALIAS_NOT_FOUND', 'ALIAS_CONFLICT', 'PRECONDITION_FAILED'],
} satisfies Contract;

export const aliasHistory = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/models/{model}/aliases/{alias}/history`,
  operationId: 'getAliasHistory',
  tag: 'aliases',
  summary: 'List an alias’ moves, newest first',
  params: AliasParams,
  query: PageQuery,
  answers: { 200: { description: 'A page of moves.', schema: pageOf(AliasMove) } },
  errors: ['MODEL_NOT_FOUND', 'ALIAS_NOT_FOUND'],
} satisfies Contract;
