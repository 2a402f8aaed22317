import * as z from 'zod';
import { CairnError } from '../../../shared/errors.ts';
import { EndpointSpec, readEndpointSpec, Strategy } from '../../../shared/serving/endpoint-spec.ts';
import { API, type Contract } from '../contract.ts';
import { later } from '../later.ts';
import { ETAG, Reason } from '../models/models.routes.ts';
import { Limit, PageQuery, pageOf } from '../page.ts';
import { Time } from '../time.ts';
import { WorkspaceParam } from '../workspaces/workspaces.routes.ts';

const EndpointName = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    'must be 1 to 63 lower-case letters, digits or inner hyphens',
  );

const WorkspaceParams = z.object({ workspace: WorkspaceParam });
const EndpointParams = WorkspaceParams.extend({
  endpoint: EndpointName.meta({ description: 'The endpoint’s name.', example: 'digits' }),
});

const SpecSchema = EndpointSpec.meta({
  id: 'EndpointSpec',
  description: 'What the user wants. Fields that are left out get their defaults; unknown ones are refused.',
  example: {
    model: 'digits',
    target: { alias: 'champion' },
    strategy: { type: 'canary', canaryPercent: 5, canarySeconds: 300 },
  },
});

/** Read by the domain, which also tells what is not supported; the schema documents it. */
const Spec = z.preprocess(
  (spec) => (spec === undefined || spec === null ? spec : inField('spec', () => readEndpointSpec(spec))),
  SpecSchema,
);

/** Errors of `parse` name the field of the body. */
export function inField<T>(name: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof CairnError) || error.field === undefined || error.field === name) throw error;
    throw new CairnError(error.code, error.detail, `${name}.${error.field}`);
  }
}

const Force = z
  .boolean()
  .default(false)
  .meta({ description: 'Roll out although an alarm is on; needs a reason.' });

const RevisionLabel = later(() => z.strictObject({ revision: z.int(), version: z.int() }));
const RevisionStatus = later(() =>
  RevisionLabel().extend({
    generation: z.int(),
    desired: z.int().meta({ description: 'Replicas asked for.' }),
    ready: z.int().meta({ description: 'Replicas that answer.' }),
    failures: z.int(),
    lastFailure: z.string().optional(),
  }),
);

const EndpointStatus = later(() =>
  z
    .strictObject({
      observedGeneration: z
        .int()
        .meta({ description: 'The generation of the spec that this status is about.' }),
      phase: z.enum(['idle', 'starting', 'canary', 'baking', 'rolling-back']),
      current: RevisionStatus().optional(),
      previous: RevisionStatus().optional(),
      candidate: RevisionStatus().optional(),
      traffic: z.array(RevisionLabel().extend({ percent: z.number() })),
      phaseSince: Time.optional(),
      rejected: z
        .strictObject({ generation: z.int(), version: z.int() })
        .optional()
        .meta({ description: 'Was given up, and is not tried again until the spec or the alias changes.' }),
      lastRollback: z
        .strictObject({
          at: Time,
          from: RevisionLabel(),
          to: RevisionLabel(),
          by: z.string(),
          reason: z.string(),
          alarm: z.string().optional(),
        })
        .optional(),
      lastFailure: z.strictObject({ at: Time, version: z.int(), reason: z.string() }).optional(),
      conditions: z.array(
        z.strictObject({
          type: z.enum(['Ready', 'Progressing', 'Degraded']),
          status: z.boolean(),
          reason: z.string(),
          message: z.string(),
          observedGeneration: z.int(),
          lastTransitionTime: Time,
        }),
      ),
    })
    .meta({ id: 'EndpointStatus', description: 'What is so, as the controller sees it.' }),
);

const Endpoint = later(() =>
  z
    .strictObject({
      workspace: z.string(),
      name: z.string(),
      generation: z.int().meta({ description: 'One more with each change of the spec.' }),
      spec: SpecSchema,
      status: EndpointStatus(),
      url: z.string().meta({
        description: 'The base of the data plane: `<url>/v2/models/<model>/infer`, `<url>/invocations`.',
      }),
      createdAt: Time,
      createdBy: z.string(),
      updatedAt: Time,
      updatedBy: z.string(),
    })
    .meta({ id: 'Endpoint' }),
);

const Rollout = later(() =>
  z
    .strictObject({
      rollout: z.int(),
      kind: z.enum(['rollout', 'rollback']),
      from: RevisionLabel().optional(),
      to: RevisionLabel(),
      strategy: Strategy.optional(),
      by: z.string(),
      startedAt: Time,
      endedAt: Time.optional(),
      outcome: z
        .enum(['succeeded', 'failed', 'superseded', 'rolled-back'])
        .optional()
        .meta({ description: 'Absent while it is under way.' }),
      reason: z.string().optional(),
      alarm: z.string().optional(),
    })
    .meta({ id: 'Rollout' }),
);

const Series = later(() =>
  z
    .array(z.strictObject({ at: Time, value: z.number() }))
    .meta({ description: 'A value for each period that has data, oldest first.' }),
);
const Percentiles = later(() => z.strictObject({ p50: Series(), p90: Series(), p99: Series() }));
const Traffic = later(() => ({
  requests: Series(),
  errors4xx: Series(),
  errors5xx: Series(),
  latency: Percentiles(),
  modelLatency: Percentiles(),
  queueTime: Percentiles(),
}));

const SPEC_ERRORS = [
  'MODEL_NOT_FOUND',
  'VERSION_NOT_FOUND',
  'ALIAS_NOT_FOUND',
  'VERSION_NOT_READY',
  'VERSION_WITHOUT_BYTES',
  'VERSION_NOT_APPROVED',
  'NOT_DEPLOYABLE',
  'NOT_SUPPORTED',
] as const;

export const listEndpoints = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/endpoints`,
  operationId: 'listEndpoints',
  tag: 'endpoints',
  summary: 'List the workspace’s endpoints that the caller may see',
  params: WorkspaceParams,
  query: PageQuery,
  answers: { 200: { description: 'A page of endpoints by name.', schema: pageOf(Endpoint) } },
} satisfies Contract;

export const createEndpoint = {
  method: 'post',
  path: `${API}/workspaces/{workspace}/endpoints`,
  operationId: 'createEndpoint',
  tag: 'endpoints',
  summary: 'Deploy: make an endpoint',
  description: 'Answers as soon as the wish is recorded; `status` tells when it serves.',
  params: WorkspaceParams,
  body: z.strictObject({ name: EndpointName, spec: Spec, force: Force, reason: Reason }).meta({
    id: 'NewEndpoint',
    example: { name: 'digits', spec: { model: 'digits', target: { alias: 'champion' } } },
  }),
  idempotency: 'stored',
  answers: {
    201: { description: 'The endpoint.', schema: Endpoint, headers: { ...ETAG, Location: 'Where it is.' } },
  },
  errors: ['ENDPOINT_EXISTS', ...SPEC_ERRORS],
} satisfies Contract;

export const getEndpoint = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/endpoints/{endpoint}`,
  operationId: 'getEndpoint',
  tag: 'endpoints',
  summary: 'Get an endpoint, its spec and its status',
  params: EndpointParams,
  answers: { 200: { description: 'The endpoint.', schema: Endpoint, headers: ETAG } },
  errors: ['ENDPOINT_NOT_FOUND'],
} satisfies Contract;

export const updateEndpoint = {
  method: 'put',
  path: `${API}/workspaces/{workspace}/endpoints/{endpoint}`,
  operationId: 'updateEndpoint',
  tag: 'endpoints',
  summary: 'Replace an endpoint’s spec',
  description: 'Another version rolls out by the spec’s strategy.',
  params: EndpointParams,
  body: z.strictObject({ spec: Spec, force: Force, reason: Reason }).meta({
    id: 'EndpointUpdate',
    example: { spec: { model: 'digits', target: { version: 4 }, strategy: { type: 'canary' } } },
  }),
  ifMatch: true,
  answers: { 200: { description: 'The endpoint as it is now.', schema: Endpoint, headers: ETAG } },
  errors: ['ENDPOINT_NOT_FOUND', 'ALARM_ACTIVE', 'PRECONDITION_FAILED', ...SPEC_ERRORS],
} satisfies Contract;

export const deleteEndpoint = {
  method: 'delete',
  path: `${API}/workspaces/{workspace}/endpoints/{endpoint}`,
  operationId: 'deleteEndpoint',
  tag: 'endpoints',
  summary: 'Withdraw an endpoint',
  description: 'What runs for it is stopped. Its rollouts and audit trail stay.',
  params: EndpointParams,
  query: z.strictObject({ reason: Reason }),
  ifMatch: true,
  answers: { 204: { description: 'It is withdrawn.' } },
  errors: ['ENDPOINT_NOT_FOUND', 'PRECONDITION_FAILED'],
} satisfies Contract;

export const rollbackEndpoint = {
  method: 'post',
  path: `${API}/workspaces/{workspace}/endpoints/{endpoint}/rollback`,
  operationId: 'rollbackEndpoint',
  tag: 'endpoints',
  summary: 'Go back to the last good revision',
  description: 'The version that is left is not tried again until the spec or the alias changes.',
  params: EndpointParams,
  body: z
    .strictObject({ reason: Reason })
    .meta({ id: 'RollbackWish', example: { reason: 'Wrong answers for customers in Japan' } }),
  bodyOptional: true,
  idempotency: 'stored',
  answers: {
    200: {
      description: 'From where to where it goes, and the endpoint.',
      schema: later(() =>
        z.strictObject({ from: RevisionLabel(), to: RevisionLabel(), endpoint: Endpoint() }),
      ),
    },
  },
  errors: ['ENDPOINT_NOT_FOUND', 'NO_PREVIOUS_REVISION'],
} satisfies Contract;

export const listRollouts = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/endpoints/{endpoint}/rollouts`,
  operationId: 'listRollouts',
  tag: 'endpoints',
  summary: 'List an endpoint’s rollouts and rollbacks, newest first',
  params: EndpointParams,
  query: PageQuery,
  answers: {
    200: {
      description: 'A page of rollouts; the first may still be under way.',
      schema: pageOf(Rollout),
    },
  },
  errors: ['ENDPOINT_NOT_FOUND'],
} satisfies Contract;

const MINUTES_MAX = 10_080;

export const getEndpointMetrics = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/endpoints/{endpoint}/metrics`,
  operationId: 'getEndpointMetrics',
  tag: 'endpoints',
  summary: 'Get an endpoint’s requests, errors and latencies',
  params: EndpointParams,
  query: z.strictObject({
    minutes: z
      .string()
      .regex(/^[1-9]\d{0,4}$/, `must be a number from 1 to ${MINUTES_MAX}`)
      .transform(Number)
      .refine((minutes) => minutes <= MINUTES_MAX, `must be a number from 1 to ${MINUTES_MAX}`)
      .default(60)
      .meta({
        type: 'integer',
        minimum: 1,
        maximum: MINUTES_MAX,
        pattern: undefined,
        description: 'How far back.',
      }),
  }),
  answers: {
    200: {
      description:
        'The endpoint as a whole and each revision that matters now. Times are in milliseconds; percentiles are of the samples.',
      schema: later(() =>
        z
          .strictObject({
            period: z.int().meta({ description: 'Seconds.' }),
            from: Time,
            to: Time,
            ...Traffic(),
            revisions: z.array(z.strictObject({ revision: z.int(), ...Traffic() })),
          })
          .meta({ id: 'EndpointMetrics' }),
      ),
    },
  },
  errors: ['ENDPOINT_NOT_FOUND'],
} satisfies Contract;

export const getEndpointLogs = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/endpoints/{endpoint}/logs`,
  operationId: 'getEndpointLogs',
  tag: 'endpoints',
  summary: 'Get the newest log lines of an endpoint’s replicas',
  params: EndpointParams,
  query: z.strictObject({
    limit: Limit,
    revision: z
      .string()
      .regex(/^[1-9]\d{0,8}$/, 'must be a revision’s number')
      .transform(Number)
      .optional()
      .meta({ type: 'integer', minimum: 1, pattern: undefined, description: 'Only this revision’s.' }),
  }),
  answers: {
    200: {
      description: 'Log lines, oldest first.',
      schema: later(() =>
        z.strictObject({
          items: z.array(
            z.strictObject({ at: Time, revision: z.int(), replica: z.string(), message: z.string() }),
          ),
        }),
      ),
    },
  },
  errors: ['ENDPOINT_NOT_FOUND'],
} satisfies Contract;

const Alarm = later(() =>
  z
    .strictObject({
      name: z.string(),
      description: z.string().optional(),
      state: z.enum(['OK', 'ALARM', 'INSUFFICIENT_DATA']),
      stateReason: z.string(),
      stateUpdatedAt: Time,
      source: z
        .record(z.string(), z.unknown())
        .meta({ description: 'The metric, or the percentage of two metrics.' }),
      period: z.int().meta({ description: 'Seconds.' }),
      evaluationPeriods: z.int(),
      datapointsToAlarm: z.int(),
      threshold: z.number(),
      comparison: z.string(),
      treatMissingData: z.string(),
      actionsEnabled: z.boolean(),
    })
    .meta({ id: 'Alarm', description: 'With CloudWatch’s meaning of every field.' }),
);

export const listAlarms = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/alarms`,
  operationId: 'listAlarms',
  tag: 'endpoints',
  summary: 'List the alarms of the workspace’s endpoints that the caller may see',
  params: WorkspaceParams,
  answers: {
    200: {
      description: 'All alarms by name.',
      schema: later(() => z.strictObject({ items: z.array(Alarm()) })),
    },
  },
  errors: ['WORKSPACE_NOT_FOUND'],
} satisfies Contract;
