import * as z from 'zod';
import { API, type Contract } from '../contract.ts';
import { later } from '../later.ts';
import { Limit } from '../page.ts';
import { Time } from '../time.ts';
import { WorkspaceParam } from '../workspaces/workspaces.routes.ts';

const params = z.object({ workspace: WorkspaceParam });

const AuditEvent = later(() =>
  z
    .strictObject({
      format: z.literal(1),
      chain: z.string(),
      seq: z.int(),
      id: z.string(),
      at: Time,
      workspace: z.string(),
      action: z.string(),
      subject: z.string(),
      actor: z.strictObject({
        principal: z.string(),
        tokenId: z.string().optional(),
        issuer: z
          .string()
          .optional()
          .meta({ description: 'Who vouched for the principal, where it was not Cairn.' }),
      }),
      requestId: z.string(),
      call: z.string().optional().meta({
        description: 'What another protocol calls the request: `mlflow POST model-versions/create`.',
      }),
      reason: z.string().optional(),
      before: z.unknown().optional(),
      after: z.unknown().optional(),
      previous: z.string(),
      hash: z.string(),
    })
    .meta({
      id: 'AuditEvent',
      description:
        'One link of a resource’s chain. `hash` is the SHA-256 of the RFC 8785 canonical JSON of all other fields, with `at` as milliseconds since the epoch.',
    }),
);

export const listAuditEvents = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/audit`,
  operationId: 'listAuditEvents',
  tag: 'audit',
  summary: 'List who did what, newest first',
  params,
  query: z.strictObject({
    limit: Limit,
    before: z
      .uuid('must be an event’s id')
      .optional()
      .meta({ description: 'Only events older than the one with this id.' }),
    resource: z
      .string()
      .regex(
        /^(model|endpoint|workspace|token|experiment|webhook)\/.{1,255}$/,
        'must be model/<id>, endpoint/<workspace>/<name>, experiment/<workspace>/<id>, workspace/<name>, token/<id> or webhook/<id>',
      )
      .optional()
      .meta({
        description:
          'Only this resource’s: `model/<id>`, `endpoint/<workspace>/<name>`, `experiment/<workspace>/<id>`, `workspace/<name>`, `token/<id>`, `webhook/<id>`.',
      }),
  }),
  answers: {
    200: {
      description: 'Events, newest first. Continue with `before` = the last one’s id.',
      schema: later(() => z.strictObject({ items: z.array(AuditEvent()) })),
    },
  },
  errors: ['WORKSPACE_NOT_FOUND'],
} satisfies Contract;

export const verifyAudit = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/audit/verification`,
  operationId: 'verifyAudit',
  tag: 'audit',
  summary: 'Recompute the workspace’s hash chains',
  params,
  answers: {
    200: {
      description: 'Whether all chains hold; else the first record of each that does not fit.',
      schema: later(() =>
        z
          .strictObject({
            ok: z.boolean(),
            chains: z.int(),
            events: z.int(),
            checkpointAt: Time.optional().meta({
              description: 'When the newest signed checkpoint was made.',
            }),
            problems: z.array(z.strictObject({ chain: z.string(), seq: z.int(), problem: z.string() })),
          })
          .meta({ id: 'AuditVerification' }),
      ),
    },
  },
  errors: ['WORKSPACE_NOT_FOUND'],
} satisfies Contract;

export const streamEvents = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/events`,
  operationId: 'streamEvents',
  tag: 'audit',
  summary: 'Follow what happens in the workspace',
  description:
    'Server-sent events: the event’s name is its type, its data JSON. They begin after the one that the header Last-Event-ID names, as every client sends it when it connects again, and from now on without it. On AWS the answer has what has happened until now and ends; the client comes again after three seconds. The audit trail is the record.',
  params,
  answers: {
    200: {
      description: 'Events.',
      schema: later(() => z.string()),
      mediaType: 'text/event-stream',
    },
  },
  errors: ['WORKSPACE_NOT_FOUND'],
} satisfies Contract;
