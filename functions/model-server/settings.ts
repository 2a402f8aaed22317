import { z } from 'zod';

const Settings = z.object({
  /** Directory with the version's files. */
  CAIRN_MODEL_DIR: z.string().min(1),
  CAIRN_MODEL_NAME: z.string().min(1),
  CAIRN_MODEL_VERSION: z.string().min(1),
  /** JSON file with the version's file list: [{path, size, sha256}]. */
  CAIRN_MODEL_FILES: z.string().min(1),
  /** 0 takes any free port; the ready line tells which. */
  CAIRN_PORT: z.coerce.number().int().min(0).max(65_535).default(0),
  CAIRN_HOST: z.string().min(1).default('127.0.0.1'),
  /** Threads that one run of the model uses. */
  CAIRN_THREADS: z.coerce.number().int().min(1).max(256).default(1),
  /** Rows of waiting requests that are run together; 1 turns batching off. */
  CAIRN_BATCH_MAX: z.coerce.number().int().min(1).max(65_536).default(32),
  /** Requests that may wait; more are answered 503. */
  CAIRN_QUEUE_MAX: z.coerce.number().int().min(1).max(1_000_000).default(1024),
  /** Bytes of a request's body; longer ones are answered 413. */
  CAIRN_BODY_LIMIT: z.coerce
    .number()
    .int()
    .min(1)
    .max(2_147_483_647)
    .default(64 * 1024 * 1024),
  /** `main`: runs block the event loop, no hop between threads; `worker`: a thread of its own; `auto`: see loadModel. */
  CAIRN_RUN_IN: z.enum(['auto', 'main', 'worker']).default('auto'),
  /** Seconds that requests under way get to finish after SIGTERM. */
  CAIRN_DRAIN_SECONDS: z.coerce.number().min(0).max(3600).default(20),
  /** 1: exit when standard input ends, which it does when the process that started this one is gone, however it went. */
  CAIRN_EXIT_WITH_PARENT: z.enum(['0', '1']).default('0'),
  CAIRN_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
});
export type Settings = z.infer<typeof Settings>;

/** @throws Error with one line for each setting that is wrong */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const settings = Settings.safeParse(environment);
  if (settings.success) return settings.data;
  throw new Error(
    settings.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '),
  );
}
