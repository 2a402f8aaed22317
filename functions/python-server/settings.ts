import * as z from 'zod';
import { parseSettings } from '../model-server/parse-settings.ts';

const Settings = z.object({
  /** Where functions/revision-files tells what to fetch, the token that it asks for, and `filesDigest` of what was deployed. */
  CAIRN_FILES_URL: z.url(),
  CAIRN_FILES_TOKEN: z.string().min(1),
  CAIRN_FILES_DIGEST: z.string().regex(/^[0-9a-f]{64}$/),
  /** The folder, among the files, of the `MLmodel` file. */
  CAIRN_MODEL_ENTRY: z.string().min(1),
  CAIRN_MODEL_NAME: z.string().min(1),
  CAIRN_MODEL_VERSION: z.string().min(1),
  CAIRN_WORKSPACE: z.string().min(1),
  CAIRN_ENDPOINT: z.string().min(1),
  CAIRN_REVISION: z.coerce.number().int().min(1),
  /** What requests' paths may begin with, in front of the protocol's own. */
  CAIRN_BASE_PATH: z
    .string()
    .regex(/^(\/[^/]+)*$/)
    .default(''),
  /** Directory for all that is written: files, Python environment, the server's own. */
  CAIRN_WORK_DIR: z.string().min(1),
  /** The Python environment that the image has. */
  CAIRN_PYTHON_HOME: z.string().min(1),
  /** `emf`: metrics of workspace, endpoint and revision as lines on standard output, for CloudWatch Logs. */
  CAIRN_METRICS: z.enum(['none', 'emf']).default('none'),
  CAIRN_PORT: z.coerce.number().int().min(0).max(65_535).default(8080),
  CAIRN_HOST: z.string().min(1).default('127.0.0.1'),
  /** Threads that libraries take. */
  CAIRN_THREADS: z.coerce.number().int().min(1).max(256).default(1),
  /** Seconds that requests under way get to finish after SIGTERM. */
  CAIRN_DRAIN_SECONDS: z.coerce.number().min(0).max(3600).default(20),
  CAIRN_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
});
export type Settings = z.infer<typeof Settings>;

/** @throws Error with one line for each setting that is wrong */
export const readSettings = (environment: NodeJS.ProcessEnv): Settings =>
  parseSettings(Settings, environment);
