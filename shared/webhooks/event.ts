import * as z from 'zod';

/** What MLflow's registry tells webhooks of (mlflow/entities/webhook.py), without the gateway's budgets. */
const ACTIONS = {
  REGISTERED_MODEL: ['CREATED'],
  MODEL_VERSION: ['CREATED'],
  MODEL_VERSION_TAG: ['SET', 'DELETED'],
  MODEL_VERSION_ALIAS: ['CREATED', 'DELETED'],
  PROMPT: ['CREATED'],
  PROMPT_VERSION: ['CREATED'],
  PROMPT_TAG: ['SET', 'DELETED'],
  PROMPT_VERSION_TAG: ['SET', 'DELETED'],
  PROMPT_ALIAS: ['CREATED', 'DELETED'],
} as const;

type Entity = keyof typeof ACTIONS;
const ENTITIES = Object.keys(ACTIONS) as Entity[];

export const WebhookEvent = z
  .object({ entity: z.enum(ENTITIES), action: z.enum(['CREATED', 'SET', 'DELETED']) })
  .refine(({ entity, action }) => (ACTIONS[entity] as readonly string[]).includes(action), {
    message: 'has an action that its entity does not have',
  });
export type WebhookEvent = z.infer<typeof WebhookEvent>;

/** All of them. */
export const MLFLOW_EVENTS: readonly WebhookEvent[] = ENTITIES.flatMap((entity) =>
  ACTIONS[entity].map((action) => ({ entity, action })),
);

export const sameEvent = (a: WebhookEvent, b: WebhookEvent) => a.entity === b.entity && a.action === b.action;

/** One thing to tell in MLflow's format: the event, and MLflow's payload of it (mlflow/webhooks/types.py). */
export interface MlflowNotice {
  readonly event: WebhookEvent;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What a test sends: MLflow's own examples. */
export function exampleOf(event: WebhookEvent): MlflowNotice {
  const prompt = event.entity.startsWith('PROMPT');
  const name = prompt ? 'example_prompt' : 'example_model';
  const tags = { example_key: 'example_value' };
  const kind = prompt ? 'prompt' : 'model';
  const key = { key: 'example_key', ...(event.action === 'SET' ? { value: 'example_value' } : {}) };
  switch (event.entity) {
    case 'REGISTERED_MODEL':
      return { event, data: { name, tags, description: 'An example registered model' } };
    case 'PROMPT':
      return { event, data: { name, tags, description: 'An example prompt' } };
    case 'MODEL_VERSION':
    case 'PROMPT_VERSION': {
      const origin = prompt
        ? { template: 'Hello {{name}}!' }
        : { source: 'models:/123', run_id: 'abcd1234abcd5678' };
      return {
        event,
        data: { name, version: '1', ...origin, tags, description: `An example ${kind} version` },
      };
    }
    case 'PROMPT_TAG':
      return { event, data: { name, ...key } };
    case 'MODEL_VERSION_TAG':
    case 'PROMPT_VERSION_TAG':
      return { event, data: { name, version: '1', ...key } };
    default: {
      const version = event.action === 'CREATED' ? { version: '1' } : {};
      return { event, data: { name, alias: 'example_alias', ...version } };
    }
  }
}
