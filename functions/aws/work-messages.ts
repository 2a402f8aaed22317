import * as z from 'zod';

/** What is to be verified, for `verify-upload`. */
export const VerifyWork = z.strictObject({
  workspace: z.string(),
  name: z.string(),
  upload: z.string(),
  lfs: z.string().optional(),
});
export type VerifyWork = z.infer<typeof VerifyWork>;

/** An endpoint that something may have changed for. */
const Wake = z.strictObject({
  endpoint: z.strictObject({ workspace: z.string(), endpoint: z.string() }),
  /** Milliseconds since the epoch after which the timer sees to it, so that messages do not beget messages for ever. */
  until: z.number().optional(),
});
export type Wake = z.infer<typeof Wake>;

/**
 * What the timers send (infra/constructs/timers.ts); a clean-up that ran out of time goes on after a model, or in a workspace,
 * and tells how many parts failed.
 */
const Task = z.strictObject({
  task: z.enum(['reconcile', 'checkpoint', 'clean-up']),
  after: z.strictObject({ workspace: z.string(), model: z.string().optional() }).optional(),
  failed: z.number().optional(),
});
export type Task = z.infer<typeof Task>;

/** ECS' events, as EventBridge passes them on; a task tells its service by its group. */
const EcsEvent = z.object({
  source: z.literal('aws.ecs'),
  resources: z.array(z.string()).default([]),
  detail: z.object({ group: z.string().optional() }).default({}),
});
export type EcsEvent = z.infer<typeof EcsEvent>;

/** What waits in the webhooks' outbox, and the timer's order to look for what has lost its message. */
export const WebhookWork = z.union([
  z.strictObject({ outbox: z.string() }),
  z.strictObject({ task: z.literal('lost') }),
]);
export type WebhookWork = z.infer<typeof WebhookWork>;

/** What the queue of `reconcile` has. */
export const ReconcileWork = z.union([Wake, Task, EcsEvent]);
export type ReconcileWork = z.infer<typeof ReconcileWork>;
