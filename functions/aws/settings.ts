import * as z from 'zod';
import type { IssuerTrust } from '../../shared/access/issuer.ts';
import { readIssuerSettings } from '../../shared/access/issuer-settings.ts';

const name = z.string().min(1);
const arn = z.string().startsWith('arn:');
const list = z
  .string()
  .min(1)
  .transform((text) => text.split(','));

/** What every function is told of what the stacks made. */
const SETTINGS = z.object({
  CAIRN_TABLE: name,
  CAIRN_MODEL_BUCKET: name,
  CAIRN_INCOMING_BUCKET: name,
  CAIRN_KMS_SIGNING_KEY: arn,
  CAIRN_KMS_DATA_KEY: arn,
  CAIRN_ALARM_TOPIC: arn,
  CAIRN_EVENT_TOPIC: arn,
  CAIRN_VERIFY_QUEUE_URL: z.url(),
  CAIRN_RECONCILE_QUEUE_URL: z.url(),
  CAIRN_WEBHOOK_QUEUE_URL: z.url(),
  CAIRN_PUBLIC_URL: z.url().transform((url) => url.replace(/\/$/, '')),
  CAIRN_ADMIN_TOKEN_SECRET: name,
});

/** What there is besides where endpoints are served. */
const SERVING = z.object({
  AWS_REGION: name,
  CAIRN_ECS_CLUSTER: name,
  CAIRN_ECS_EXECUTION_ROLE: arn,
  CAIRN_ECS_TASK_ROLE: arn,
  CAIRN_ECS_INFRASTRUCTURE_ROLE: arn.optional(),
  CAIRN_ECS_SUBNETS: list,
  CAIRN_ECS_SECURITY_GROUP: name,
  CAIRN_ECS_VPC: name,
  CAIRN_ECS_ARCHITECTURE: z.enum(['ARM64', 'X86_64']).default('ARM64'),
  CAIRN_ECS_VERSION_CONSISTENCY: z.enum(['enabled', 'disabled']).default('enabled'),
  CAIRN_ALB_LISTENER: arn,
  CAIRN_ALB_TEST_LISTENER: arn.optional(),
  CAIRN_MODEL_SERVER_IMAGE: name,
  CAIRN_PYTHON_SERVER_IMAGE: name.optional(),
  CAIRN_PYTHON_INDEX: z.url().optional(),
  CAIRN_LOG_GROUP: name,
  CAIRN_FILES_URL: z.url(),
});

export type ServingSettings = z.infer<typeof SERVING>;
export type Settings = z.infer<typeof SETTINGS> & {
  readonly serving?: ServingSettings;
  readonly issuer?: IssuerTrust;
};

/** Reads a function's environment. @throws Error with a sentence for each variable that is missing or wrong */
export function parseSettings(env: Readonly<Record<string, string | undefined>>): Settings {
  const present = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const settings = SETTINGS.safeParse(present);
  const serving = 'CAIRN_ECS_CLUSTER' in present ? SERVING.safeParse(present) : undefined;
  const issues = [settings, serving].flatMap((parsed) => parsed?.error?.issues ?? []);
  const { trust, problems } = readIssuerSettings(present);
  if (!settings.success || issues.length > 0 || problems.length > 0) {
    const sentences = issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    throw new Error([...sentences, ...problems].join('\n'));
  }
  return {
    ...settings.data,
    ...(serving?.data ? { serving: serving.data } : {}),
    ...(trust ? { issuer: trust } : {}),
  };
}
