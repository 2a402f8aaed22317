import * as z from 'zod';
import { MLFLOW_EVENTS, type WebhookEvent } from './event.ts';

/** The audit events of models and endpoints, which `GET …/events` tells under the same names. */
export const CAIRN_EVENTS = [
  'model.created',
  'model.updated',
  'model.renamed',
  'model.deleted',
  'version.created',
  'version.staged',
  'version.updated',
  'version.approved',
  'version.rejected',
  'version.deleted',
  'alias.moved',
  'alias.deleted',
  'upload.created',
  'upload.failed',
  'upload.aborted',
  'upload.expired',
  'refs.pushed',
  'lock.created',
  'lock.deleted',
  'endpoint.created',
  'endpoint.updated',
  'endpoint.updated-by-force',
  'endpoint.deleted',
  'endpoint.rollout-started',
  'endpoint.traffic-shifted',
  'endpoint.rolled-out',
  'endpoint.rollout-failed',
  'endpoint.rollout-superseded',
  'endpoint.rollback-requested',
  'endpoint.rollback-started',
  'endpoint.rolled-back',
] as const;

export type CairnEvent = (typeof CAIRN_EVENTS)[number];

/** `registered_model.created`: as MLflow's own client writes its events. */
export const mlflowName = ({ entity, action }: WebhookEvent) => `${entity}.${action}`.toLowerCase();

const BY_NAME = new Map(MLFLOW_EVENTS.map((event) => [mlflowName(event), event]));

/** An event of Cairn's, told in Cairn's format, or one of MLflow's, told in MLflow's. */
export const EventName = z.enum([...CAIRN_EVENTS, ...BY_NAME.keys()]);

/** What a webhook is told of. */
export interface Subscription {
  /** MLflow's events. */
  readonly events: readonly WebhookEvent[];
  /** Cairn's own. */
  readonly actions?: readonly CairnEvent[] | undefined;
}

/** Its events by name. */
export const namesOf = ({ events, actions = [] }: Subscription): string[] => [
  ...actions,
  ...events.map(mlflowName),
];

/** The other way round; each once. */
export function subscriptionOf(names: readonly z.infer<typeof EventName>[]): Required<Subscription> {
  const wanted = new Set<string>(names);
  return {
    actions: CAIRN_EVENTS.filter((name) => wanted.has(name)),
    events: [...BY_NAME].flatMap(([name, event]) => (wanted.has(name) ? [event] : [])),
  };
}
