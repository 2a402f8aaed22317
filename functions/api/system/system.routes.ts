import * as z from 'zod';
import type { Contract } from '../contract.ts';
import { later } from '../later.ts';
import { RESOURCE_METADATA } from '../middleware/resource-metadata.ts';

const State = later(() => z.strictObject({ status: z.literal('ok') }));

export const healthz = {
  method: 'get',
  path: '/healthz',
  operationId: 'healthz',
  tag: 'system',
  summary: 'Whether the process lives',
  open: true,
  answers: { 200: { description: 'It lives.', schema: State } },
} satisfies Contract;

export const readyz = {
  method: 'get',
  path: '/readyz',
  operationId: 'readyz',
  tag: 'system',
  summary: 'Whether the service can do its work',
  open: true,
  answers: {
    200: { description: 'It can.', schema: State },
    503: {
      description: 'It cannot, and why where that is known.',
      schema: later(() =>
        z.strictObject({
          status: z.literal('unavailable'),
          code: z.string().optional(),
          detail: z.string().optional(),
        }),
      ),
    },
  },
} satisfies Contract;

export const version = {
  method: 'get',
  path: '/version',
  operationId: 'version',
  tag: 'system',
  summary: 'Get the service’s version',
  open: true,
  answers: {
    200: {
      description: 'The version.',
      schema: later(() =>
        z.strictObject({ name: z.literal('cairn'), version: z.string(), api: z.literal('v1') }),
      ),
    },
  },
} satisfies Contract;

export const resourceMetadata = {
  method: 'get',
  path: RESOURCE_METADATA,
  operationId: 'resourceMetadata',
  tag: 'system',
  summary: 'Get whose tokens are taken beside Cairn’s own',
  description: 'OAuth 2.0 Protected Resource Metadata (RFC 9728), where an OpenID Connect issuer is trusted.',
  open: true,
  answers: {
    200: {
      description: 'The issuer.',
      schema: later(() =>
        z.strictObject({
          resource: z.string(),
          authorization_servers: z.array(z.string()),
          bearer_methods_supported: z.array(z.literal('header')),
          resource_name: z.string(),
          resource_documentation: z.string(),
          cairn_login: z
            .record(z.string(), z.string())
            .optional()
            .meta({ description: 'What `cairn login --oidc` tells the issuer of itself.' }),
        }),
      ),
    },
  },
  errors: ['NOT_FOUND'],
} satisfies Contract;

export const metrics = {
  method: 'get',
  path: '/metrics',
  operationId: 'metrics',
  tag: 'system',
  summary: 'Get the process’ metrics for Prometheus',
  description: 'Needs the role viewer on all workspaces.',
  answers: {
    200: {
      description: 'Metrics in the text format.',
      schema: later(() => z.string()),
      mediaType: 'text/plain',
    },
  },
} satisfies Contract;

export const openapi = {
  method: 'get',
  path: '/openapi.json',
  operationId: 'openapi',
  tag: 'system',
  summary: 'Get this description',
  open: true,
  answers: {
    200: { description: 'An OpenAPI 3.1 document.', schema: later(() => z.record(z.string(), z.unknown())) },
  },
} satisfies Contract;

export const docs = {
  method: 'get',
  path: '/docs',
  operationId: 'docs',
  tag: 'system',
  summary: 'Read this description',
  open: true,
  answers: { 200: { description: 'A page.', schema: later(() => z.string()), mediaType: 'text/html' } },
} satisfies Contract;

export const root = {
  method: 'get',
  path: '/',
  operationId: 'root',
  tag: 'system',
  summary: 'Leads to the docs',
  open: true,
  answers: { 302: { description: 'The docs are at Location.' } },
} satisfies Contract;
