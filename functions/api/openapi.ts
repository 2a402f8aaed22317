import { OpenAPIRegistry, OpenApiGeneratorV31, type RouteConfig } from '@asteasolutions/zod-to-openapi';
import * as z from 'zod';
import { ERRORS, type ErrorCode } from '../../shared/errors.ts';
import { type Contract, TAGS } from './contract.ts';

const Problem = z
  .strictObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z
      .enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]])
      .meta({ description: 'From a closed table.' }),
    detail: z.string(),
    field: z
      .string()
      .optional()
      .meta({ description: 'The input that is wrong: `files.0.path`, a parameter or a header.' }),
    fix: z.string().meta({ description: 'What to do about it.' }),
    requestId: z.string().meta({ description: 'Find it in the log and in the audit trail.' }),
  })
  .meta({
    id: 'Problem',
    description: 'RFC 9457 problem details.',
    example: {
      type: 'https://cairn.invalid/errors/MODEL_NOT_FOUND',
      title: 'Model not found',
      status: 404,
      code: 'MODEL_NOT_FOUND',
      detail: 'There is no model "digits" in workspace "default".',
      field: 'model',
      fix: 'List the models: `cairn models`.',
      requestId: '0195f3a1-7c4e-7b53-9c1a-3a5f0c6f9b1e',
    },
  });

/** Of every route that takes a token: each may read the table, and what stores the bytes. */
const TOKEN_ERRORS: readonly ErrorCode[] = [
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'ISSUER_UNAVAILABLE',
  'STORAGE_UNAVAILABLE',
];
const BODY_ERRORS: readonly ErrorCode[] = ['TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE'];

function routeConfig(contract: Contract): RouteConfig {
  const { method, path, operationId, tag, summary, description, params, query, body } = contract;
  const headers = headersOf(contract);
  return {
    method,
    path,
    operationId,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    ...(contract.open ? { security: [] } : {}),
    request: {
      ...(params === undefined ? {} : { params }),
      ...(query === undefined ? {} : { query }),
      ...(headers === undefined ? {} : { headers }),
      ...(body === undefined
        ? {}
        : { body: { required: !contract.bodyOptional, content: { 'application/json': { schema: body } } } }),
    },
    responses: { ...answersOf(contract), ...problemsOf(contract) },
  };
}

function headersOf({ ifMatch, idempotency }: Contract) {
  if (!ifMatch && idempotency !== 'stored') return undefined;
  return z.object({
    ...(ifMatch
      ? {
          'If-Match': z
            .string()
            .optional()
            .meta({ description: 'The ETag that the resource must have now, or `*`.', example: '"3"' }),
        }
      : {}),
    ...(idempotency === 'stored'
      ? {
          'Idempotency-Key': z.string().min(1).max(255).optional().meta({
            description: 'Makes the request safe to send again for a day: the repeat gets the first answer.',
            example: '6f1c2a34-6c0b-4a5e-9a55-0f7d1f2f4a10',
          }),
        }
      : {}),
  });
}

const REQUEST_ID = { 'x-request-id': 'The request’s id.' };

const headerObjects = (headers: Readonly<Record<string, string>>) =>
  Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [
      name,
      { description, schema: { type: 'string' as const } },
    ]),
  );

function answersOf({ answers }: Contract): RouteConfig['responses'] {
  return Object.fromEntries(
    Object.entries(answers).map(
      ([status, { description, schema, mediaType = 'application/json', headers }]) => [
        status,
        {
          description,
          headers: headerObjects({ ...headers, ...REQUEST_ID }),
          ...(schema === undefined ? {} : { content: { [mediaType]: { schema: schema() } } }),
        },
      ],
    ),
  );
}

/** One answer for each status, which lists the codes that come with it. */
function problemsOf(contract: Contract): RouteConfig['responses'] {
  const codes = new Set<ErrorCode>(contract.errors);
  if (!contract.open) for (const code of TOKEN_ERRORS) codes.add(code);
  if (contract.params || contract.query || contract.body) codes.add('INVALID_ARGUMENT');
  if (contract.body) for (const code of BODY_ERRORS) codes.add(code);
  if (contract.idempotency === 'stored') codes.add('IDEMPOTENCY_MISMATCH').add('CONFLICT');
  if (contract.method !== 'get') codes.add('CONFLICT').add('STORAGE_FULL');
  const byStatus = Map.groupBy([...codes], (code) => ERRORS[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => [
      status,
      {
        description: group
          .toSorted()
          .map((code) => `\`${code}\``)
          .join(', '),
        headers: headerObjects(
          status === 401 ? { 'www-authenticate': 'Bearer and Basic.', ...REQUEST_ID } : REQUEST_ID,
        ),
        content: { 'application/problem+json': { schema: Problem } },
      },
    ]),
  );
}

/** The OpenAPI 3.1 document of all routes. */
export function openApiDocument(contracts: readonly Contract[], version: string, server = '/'): object {
  const registry = new OpenAPIRegistry();
  for (const contract of contracts) registry.registerPath(routeConfig(contract));
  registry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'cairn_<id>_<secret>, or a JWT of the issuer that is trusted',
  });
  registry.registerComponent('securitySchemes', 'basic', {
    type: 'http',
    scheme: 'basic',
    description: 'Any user name, the token as password.',
  });
  return new OpenApiGeneratorV31(registry.definitions).generateDocument({
    openapi: '3.1.0',
    info: {
      title: 'Cairn',
      version,
      description: INTRODUCTION,
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    servers: [{ url: server }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    security: [{ bearer: [] }, { basic: [] }],
  });
}

const INTRODUCTION = `Version, store, deploy, watch and roll back machine-learning models.

Lists come in pages: send \`nextCursor\` as \`cursor\` for the next one. Times are RFC 3339 in UTC. A single resource has an \`ETag\`;
a write with \`If-Match\` happens only if nobody changed the resource meanwhile. A POST with an \`Idempotency-Key\` can be sent again safely.
Unknown fields and parameters are refused. Errors are RFC 9457 problem details with a \`code\`, the \`field\` they are about and a \`fix\`.
Every answer has an \`x-request-id\`; one that is sent is kept.`;
