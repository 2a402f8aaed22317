import { resolve } from 'node:path';
import * as z from 'zod';
import { type IssuerTrust, isJwt } from '../../shared/access/issuer.ts';
import { ISSUER_SETTINGS, readIssuerSettings } from '../../shared/access/issuer-settings.ts';
import { CHOSEN_TOKEN_MIN } from '../../shared/access/token.ts';
import { nearest } from '../api/did-you-mean.ts';
import { BlobLocation } from './blob-location.ts';

/** Each setting's environment variable, its meaning and its schema: what `--help` lists and what start-up parses. */
const SETTINGS = {
  CAIRN_HOST: z.string().min(1).default('127.0.0.1').describe('address to listen on'),
  CAIRN_PORT: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .default(7070)
    .describe('port to listen on; 0 takes a free one'),
  CAIRN_DATA_DIR: z
    .string()
    .min(1)
    .default('./data')
    .transform((dir) => resolve(dir))
    .describe('folder that holds everything, or all but the bytes of models'),
  CAIRN_BLOB_STORE: BlobLocation.optional().describe(
    'bucket for the bytes of models instead of the folder: s3://bucket/prefix?endpoint=https://…&region=…',
  ),
  CAIRN_PUBLIC_URL: z
    .url()
    .optional()
    .describe('address that clients use, where it is not the one listened on'),
  CAIRN_ADMIN_TOKEN: z
    .string()
    .min(CHOSEN_TOKEN_MIN)
    .optional()
    .describe(
      `the first admin token, at least ${CHOSEN_TOKEN_MIN} characters; otherwise one is made and printed once`,
    ),
  CAIRN_PUSH_LIMIT_MB: z.coerce
    .number()
    .int()
    .min(1)
    .max(2000)
    .default(128)
    .describe('megabytes that one git push may be, without LFS objects'),
  CAIRN_WEBHOOKS_INSIDE: z
    .stringbool()
    .default(false)
    .describe('let webhooks reach private addresses, and plain http'),
  ...ISSUER_SETTINGS,
  CAIRN_LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default('warn')
    .describe('least severe log lines to write'),
};

const Settings = z.object(SETTINGS);

export interface Settings {
  readonly host: string;
  readonly port: number;
  readonly dataDir: string;
  /** A bucket that has the bytes of models; without it they are in the data folder. */
  readonly blobStore?: BlobLocation | undefined;
  readonly publicUrl?: string | undefined;
  readonly adminToken?: string | undefined;
  /** Bytes. */
  readonly pushLimit?: number;
  readonly webhooksInside: boolean;
  readonly issuer?: IssuerTrust | undefined;
  readonly logLevel: string;
}

/** @returns the settings, or a sentence for each one that is wrong */
export function parseSettings(
  env: Readonly<Record<string, string | undefined>>,
): Settings | { readonly problems: string[] } {
  const present = Object.fromEntries(
    Object.entries(env).filter(([name, value]) => name in SETTINGS && value !== ''),
  );
  const parsed = Settings.safeParse(present);
  const { trust, problems } = readIssuerSettings(present);
  if (!parsed.success || problems.length > 0) {
    const issues = parsed.error?.issues ?? [];
    return { problems: [...issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`), ...problems] };
  }
  const {
    CAIRN_HOST,
    CAIRN_PORT,
    CAIRN_DATA_DIR,
    CAIRN_BLOB_STORE,
    CAIRN_PUBLIC_URL,
    CAIRN_ADMIN_TOKEN,
    CAIRN_LOG_LEVEL,
    CAIRN_PUSH_LIMIT_MB,
    CAIRN_WEBHOOKS_INSIDE,
  } = parsed.data;
  if (trust && isJwt(CAIRN_ADMIN_TOKEN ?? ''))
    return {
      problems: ['CAIRN_ADMIN_TOKEN: must not look like a JWT, which is taken for one of the issuer'],
    };
  return {
    host: CAIRN_HOST,
    port: CAIRN_PORT,
    dataDir: CAIRN_DATA_DIR,
    blobStore: CAIRN_BLOB_STORE,
    publicUrl: CAIRN_PUBLIC_URL?.replace(/\/$/, ''),
    adminToken: CAIRN_ADMIN_TOKEN,
    pushLimit: CAIRN_PUSH_LIMIT_MB * 1_000_000,
    webhooksInside: CAIRN_WEBHOOKS_INSIDE,
    issuer: trust,
    logLevel: CAIRN_LOG_LEVEL,
  };
}

/** Of the command; everything else that begins with CAIRN_ may be another program's. */
const COMMAND_SETTINGS = ['CAIRN_URL', 'CAIRN_TOKEN'];

/** @returns a sentence for each variable whose name is nearly a setting's, and which nothing reads */
export function mistyped(env: Readonly<Record<string, string | undefined>>): string[] {
  return Object.keys(env)
    .filter((name) => name.startsWith('CAIRN_') && !(name in SETTINGS) && !COMMAND_SETTINGS.includes(name))
    .flatMap((name) => {
      const meant = nearest(name, Object.keys(SETTINGS));
      return meant === undefined ? [] : [`${name} is no setting and does nothing; ${meant} is one.`];
    });
}

/** The text of `npm start -- --help`. */
export function settingsHelp(): string {
  const rows = Object.entries(SETTINGS).map(([name, schema]) => {
    const fallback = schema.safeParse(undefined).data;
    const shown = name === 'CAIRN_DATA_DIR' ? './data' : fallback;
    return `  ${name.padEnd(21)} ${schema.description ?? ''}${shown === undefined ? '' : ` (${shown})`}`;
  });
  return ['Cairn on one machine. Settings are environment variables:', '', ...rows, ''].join('\n');
}
