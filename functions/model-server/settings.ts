import * as z from 'zod';
import { parseSettings } from './parse-settings.ts';

const Fields = z.object({
  /** Directory with the version's files. */
  CAIRN_MODEL_DIR: z.string().min(1),
  CAIRN_MODEL_NAME: z.string().min(1),
  CAIRN_MODEL_VERSION: z.string().min(1),
  /** JSON file with the version's file list: [{path, size, sha256}]. The files are in the directory already. */
  CAIRN_MODEL_FILES: z.string().min(1).optional(),
  /** Instead: where functions/revision-files tells what to fetch into the directory, with the token that it asks for … */
  CAIRN_FILES_URL: z.url().optional(),
  CAIRN_FILES_TOKEN: z.string().min(1).optional(),
  /** … and `filesDigest` of what was deployed. */
  CAIRN_FILES_DIGEST: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  /** What requests' paths may begin with, in front of the protocol's own. */
  CAIRN_BASE_PATH: z
    .string()
    .regex(/^(\/[^/]+)*$/)
    .default(''),
  CAIRN_WORKSPACE: z.string().min(1).optional(),
  CAIRN_ENDPOINT: z.string().min(1).optional(),
  /** Given, answers tell it, as a gateway would. */
  CAIRN_REVISION: z.coerce.number().int().min(1).optional(),
  /** `emf`: metrics of workspace, endpoint and revision as lines on standard output, for CloudWatch Logs. */
  CAIRN_METRICS: z.enum(['none', 'emf']).default('none'),
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
  /** What the process may use; how much JSON and how many bodies at once are taken follows from it. */
  CAIRN_MEMORY_MIB: z.coerce.number().int().min(64).max(1_048_576).default(1024),
  /** `main`: runs block the event loop, no hop between threads; `worker`: a thread of its own; `auto`: see loadModel. */
  CAIRN_RUN_IN: z.enum(['auto', 'main', 'worker']).default('auto'),
  /** Seconds that requests under way get to finish after SIGTERM. */
  CAIRN_DRAIN_SECONDS: z.coerce.number().min(0).max(3600).default(20),
  /** 1: exit when standard input ends, which it does when the process that started this one is gone, however it went. */
  CAIRN_EXIT_WITH_PARENT: z.enum(['0', '1']).default('0'),
  CAIRN_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
});

const Settings = Fields.superRefine((settings, { addIssue }) => {
  const together = (names: readonly (keyof typeof settings)[]) => {
    for (const name of names) {
      if (settings[name] === undefined) addIssue({ code: 'custom', path: [name], message: 'is missing' });
    }
  };
  if (settings.CAIRN_FILES_URL !== undefined) together(['CAIRN_FILES_TOKEN', 'CAIRN_FILES_DIGEST']);
  else together(['CAIRN_MODEL_FILES']);
  if (settings.CAIRN_METRICS === 'emf') together(['CAIRN_WORKSPACE', 'CAIRN_ENDPOINT', 'CAIRN_REVISION']);
});
export type Settings = z.infer<typeof Settings>;

/** @throws Error with one line for each setting that is wrong */
export const readSettings = (environment: NodeJS.ProcessEnv): Settings =>
  parseSettings(Settings, environment);
