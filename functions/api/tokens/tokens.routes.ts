import * as z from 'zod';
import { Grant } from '../../../shared/access/grant.ts';
import { Principal } from '../../../shared/access/principal.ts';
import { API, type Contract } from '../contract.ts';
import { later } from '../later.ts';
import { Reason } from '../models/models.routes.ts';
import { PageQuery, pageOf } from '../page.ts';
import { Time } from '../time.ts';

const Grants = later(() =>
  z.array(Grant).meta({
    description:
      'A role on a workspace (`*` is all), for the models and endpoints whose name matches (`*` stands for any run of characters).',
  }),
);

const Token = later(() =>
  z
    .strictObject({
      id: z.string(),
      principal: z.string(),
      description: z.string(),
      grants: Grants(),
      createdAt: Time,
      createdBy: z.string(),
      expiresAt: Time.optional(),
      revokedAt: Time.optional(),
    })
    .meta({ id: 'Token' }),
);

export const issueToken = {
  method: 'post',
  path: `${API}/tokens`,
  operationId: 'issueToken',
  tag: 'tokens',
  summary: 'Issue a token',
  description: 'The token is shown once; only its hash is kept. A caller can grant what it is an admin of.',
  body: z
    .strictObject({
      principal: Principal.meta({ description: 'Who the token is for.' }),
      description: z.string().max(1000).default(''),
      grants: z.array(Grant).min(1).max(100),
      expiresAt: z.iso
        .datetime({ offset: true, error: 'must be a time like 2026-12-31T00:00:00Z' })
        .optional()
        .meta({ format: 'date-time', pattern: undefined }),
    })
    .meta({
      id: 'NewToken',
      example: {
        principal: 'ci',
        description: 'The build',
        grants: [{ role: 'contributor', workspace: 'default', models: 'digits*' }],
        expiresAt: '2026-12-31T00:00:00Z',
      },
    }),
  idempotency: 'refused',
  answers: {
    201: {
      description: 'The token: the only time that it is seen.',
      schema: later(() =>
        Token()
          .extend({ token: z.string().meta({ description: '`cairn_<id>_<secret>`' }) })
          .meta({
            id: 'IssuedToken',
          }),
      ),
      headers: { Location: 'Where its record is.' },
    },
  },
} satisfies Contract;

export const listTokens = {
  method: 'get',
  path: `${API}/tokens`,
  operationId: 'listTokens',
  tag: 'tokens',
  summary: 'List tokens: all for an admin of everything, else one’s own',
  query: PageQuery,
  answers: {
    200: {
      description: 'A page of tokens by id, without their secrets.',
      schema: pageOf(Token),
    },
  },
} satisfies Contract;

export const revokeToken = {
  method: 'delete',
  path: `${API}/tokens/{token}`,
  operationId: 'revokeToken',
  tag: 'tokens',
  summary: 'Revoke a token',
  description: 'One’s own or, for an admin of everything, any. It is refused from the next request on.',
  params: z.object({
    token: z
      .string()
      .regex(/^[a-z0-9]{1,64}$/, 'must be a token’s id')
      .meta({ description: 'The token’s id.', example: '5f0c6f9b1e3a0a5f' }),
  }),
  query: z.strictObject({ reason: Reason }),
  answers: { 204: { description: 'It is revoked.' } },
  errors: ['TOKEN_NOT_FOUND'],
} satisfies Contract;

export const whoami = {
  method: 'get',
  path: `${API}/whoami`,
  operationId: 'whoami',
  tag: 'tokens',
  summary: 'Get who the token stands for',
  answers: {
    200: {
      description: 'The caller.',
      schema: later(() =>
        z
          .strictObject({
            principal: z.string(),
            tokenId: z.string().optional().meta({ description: 'Of a token of Cairn’s.' }),
            issuer: z
              .string()
              .optional()
              .meta({ description: 'Who signed the token, where it is not Cairn’s.' }),
            expiresAt: Time.optional(),
            grants: Grants(),
          })
          .meta({ id: 'Caller' }),
      ),
    },
  },
} satisfies Contract;
