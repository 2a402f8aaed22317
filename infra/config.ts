import * as z from 'zod';
import { IssuerTrust } from '../shared/access/issuer.ts';
import { writeIssuerSettings } from '../shared/access/issuer-settings.ts';

/** Retentions that CloudWatch Logs takes, in days. */
const RETENTIONS = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653] as const;

const ExistingVpc = z.strictObject({
  id: z.string().regex(/^vpc-[0-9a-f]+$/),
  cidr: z.cidrv4().describe('its address range: what the load balancer may send to'),
  availabilityZones: z.array(z.string().min(1)).min(2).describe('two at least: a load balancer needs them'),
  subnetIds: z
    .array(z.string().regex(/^subnet-[0-9a-f]+$/))
    .min(2)
    .describe('one private subnet in each zone, with a way to S3, ECR and CloudWatch Logs'),
});

const CustomDomain = z.strictObject({
  name: z.hostname().describe('host name that clients use'),
  certificateArn: z
    .string()
    .startsWith('arn:')
    .describe('ACM certificate for it, in the region of the stack'),
  hostedZone: z
    .strictObject({ id: z.string().min(1), name: z.hostname() })
    .optional()
    .describe(
      'Route 53 zone that gets the alias record; without it, point the name at the output DomainTarget',
    ),
});

/** Lambda takes 4 KB of environment, measured as JSON, of which the rest of Cairn's own is a little more than two thirds. */
const ISSUER_BYTES = 1150;
const INDEX_BYTES = 120;

function fits(trust: IssuerTrust): boolean {
  return Buffer.byteLength(JSON.stringify(writeIssuerSettings(trust))) <= ISSUER_BYTES;
}

/** All that can be configured: each key is the CDK context value `cairn:<key>`, in cdk.json or by `-c`. */
const CONFIG = z.strictObject({
  serving: z
    .boolean()
    .default(false)
    .describe(
      'make the network, cluster and load balancer that endpoints run on; they cost money while idle',
    ),
  vpc: ExistingVpc.optional().describe('run the endpoints in this VPC instead of a new one; needs serving'),
  modelServerImage: z
    .string()
    .min(1)
    .optional()
    .describe(
      'image of the model server; without it one is built from functions/model-server; needs serving',
    ),
  pythonServerImage: z
    .string()
    .min(1)
    .optional()
    .describe(
      'image for models that MLflow logged without an ONNX file, or `build` to make one from functions/python-server; without it such models are refused; needs serving',
    ),
  pythonPackages: z
    .array(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9._,-]*\])?([<>=!~]=?[^\s;@]*)?$/))
    .optional()
    .describe('packages that the image which is built has already, such as `["scikit-learn==1.9.1"]`'),
  pythonIndex: z
    .url()
    .max(INDEX_BYTES)
    .refine((text) => {
      const { username = '', password = '' } = URL.parse(text) ?? {};
      return username === '' && password === '';
    }, 'must have no user name or password: a model’s code, and whoever sees the template, can read them')
    .optional()
    .describe('where tasks get packages that their image does not have; PyPI without it'),
  containerInsights: z.boolean().default(false).describe('CloudWatch Container Insights; needs serving'),
  customDomain: CustomDomain.optional().describe('address of the API instead of execute-api'),
  oidc: IssuerTrust.refine(fits, {
    error: `more than the ${ISSUER_BYTES} bytes that fit into a function’s environment; groups and wildcards make fewer rules`,
  })
    .optional()
    .describe(
      'OpenID Connect issuer whose tokens are taken beside Cairn’s own: `issuer`, `audience`, `roles` and `principalClaim`, as docs/access.md has them',
    ),
  throttling: z
    .strictObject({
      rate: z.number().positive().describe('requests a second, steady'),
      burst: z.number().int().positive().describe('requests at once'),
    })
    .default({ rate: 200, burst: 400 })
    .describe('more than this is answered 429, over all routes together'),
  reservedConcurrency: z
    .number()
    .int()
    .positive()
    .optional()
    .describe(
      'upper bound of concurrent runs of the api function; without it, the account has the only bound',
    ),
  tracing: z.boolean().default(false).describe('X-Ray traces of API and functions'),
  logRetentionDays: z
    .number()
    .refine((days) => RETENTIONS.some((one) => one === days), `one of ${RETENTIONS.join(', ')}`)
    .default(30)
    .describe('days that logs are kept'),
  removalPolicy: z
    .enum(['retain', 'destroy'])
    .default('retain')
    .describe(
      'what `npm run destroy` does with table, buckets and keys; `destroy` deletes all that is in them',
    ),
  restoredTable: z
    .string()
    .min(3)
    .optional()
    .describe('table, restored from a point in time, that is used instead of the one of the stack'),
  alarmEmail: z.email().optional().describe('address that hears of alarms of Cairn itself'),
  emulator: z
    .strictObject({
      url: z.url().describe('address of the emulator'),
      architecture: z.enum(['ARM64', 'X86_64']).default('ARM64').describe('what its Docker engine runs'),
    })
    .optional()
    .describe('the variations that an emulator of AWS needs: docs/aws-testing.md lists them'),
});

export type Config = z.infer<typeof CONFIG>;

const PREFIX = 'cairn:';

/** What is wrong with the context, a line for each key. */
export class ConfigError extends Error {}

/** Reads the `cairn:` keys of the CDK context. @throws ConfigError for keys that are unknown or wrong, or lack their prefix */
export function parseConfig(context: Readonly<Record<string, unknown>>): Config {
  const bare = Object.keys(CONFIG.shape).filter((key) => key in context);
  if (bare.length > 0)
    throw new ConfigError(bare.map((key) => `${key}: unknown; the key is ${PREFIX}${key}`).join('\n'));
  const given = Object.entries(context)
    .filter(([key]) => key.startsWith(PREFIX))
    .map(([key, value]) => [key.slice(PREFIX.length), typeof value === 'string' ? fromText(value) : value]);
  const parsed = CONFIG.superRefine(needEachOther).safeParse(Object.fromEntries(given));
  if (parsed.success) return parsed.data;
  throw new ConfigError(parsed.error.issues.map(sentence).join('\n'));
}

const sentence = (issue: z.core.$ZodIssue) =>
  issue.code === 'unrecognized_keys' && issue.path.length === 0
    ? `${PREFIX}${issue.keys[0]}: unknown; docs/aws.md lists the keys`
    : `${PREFIX}${issue.path.join('.')}: ${issue.message}`;

function needEachOther(config: Config, context: z.RefinementCtx<Config>): void {
  const refuse = (path: keyof Config, message: string) =>
    context.addIssue({ code: 'custom', path: [path], message });
  if (config.pythonPackages && config.pythonServerImage !== 'build')
    refuse('pythonPackages', `only with ${PREFIX}pythonServerImage=build`);
  if (config.pythonIndex && config.pythonServerImage === undefined)
    refuse('pythonIndex', `only with ${PREFIX}pythonServerImage`);
  if (config.serving) return;
  for (const key of ['vpc', 'modelServerImage', 'pythonServerImage', 'containerInsights'] as const) {
    if (config[key]) refuse(key, `only with ${PREFIX}serving=true`);
  }
}

/** `-c key=value` gives text: JSON where it is JSON, else the text itself. */
function fromText(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** Each key with its default and meaning, as docs/aws.md lists them. */
export function configKeys(): { key: string; fallback: unknown; meaning: string }[] {
  return Object.entries(CONFIG.shape).map(([key, schema]) => ({
    key: `${PREFIX}${key}`,
    fallback: schema.safeParse(undefined).data,
    meaning: schema.description ?? '',
  }));
}
