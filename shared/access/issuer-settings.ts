import * as z from 'zod';
import { writeGrant } from './grant-text.ts';
import { IssuerTrust } from './issuer.ts';

/** The issuer's settings, with what `--help` says of each. */
export const ISSUER_SETTINGS = {
  CAIRN_OIDC_ISSUER: z
    .string()
    .optional()
    .describe('OpenID Connect issuer whose tokens are taken beside Cairn’s own'),
  CAIRN_OIDC_AUDIENCE: z.string().optional().describe('audience that its tokens must be for'),
  CAIRN_OIDC_ROLES: z
    .string()
    .optional()
    .describe('grants by claim: [{"claim":"groups","value":"ml-*","grant":"viewer@default/*"}]'),
  CAIRN_OIDC_PRINCIPAL: z.string().optional().describe('claim that names who it is (sub)'),
  CAIRN_OIDC_LOGIN: z
    .string()
    .optional()
    .describe('the public client that `cairn login --oidc` is: {"client_id":"cairn-cli","scope":"openid"}'),
} as const;

const FIELDS = {
  issuer: 'CAIRN_OIDC_ISSUER',
  audience: 'CAIRN_OIDC_AUDIENCE',
  roles: 'CAIRN_OIDC_ROLES',
  principalClaim: 'CAIRN_OIDC_PRINCIPAL',
  login: 'CAIRN_OIDC_LOGIN',
} as const satisfies Record<keyof IssuerTrust, string>;

type Env = Readonly<Record<string, string | undefined>>;

/** Reads the issuer's settings. @returns no trust where none is set, and a sentence for each one that is wrong */
export function readIssuerSettings(env: Env): { trust?: IssuerTrust; problems: string[] } {
  const given = Object.values(FIELDS).filter((name) => (env[name] ?? '') !== '');
  if (given.length === 0) return { problems: [] };
  if (!given.includes('CAIRN_OIDC_ISSUER'))
    return {
      problems: given.map((name) => `${name}: is without effect, since CAIRN_OIDC_ISSUER is not set`),
    };
  const parsed = IssuerTrust.safeParse({
    issuer: env.CAIRN_OIDC_ISSUER,
    audience: env.CAIRN_OIDC_AUDIENCE || undefined,
    roles: env.CAIRN_OIDC_ROLES ? json(env.CAIRN_OIDC_ROLES) : undefined,
    principalClaim: env.CAIRN_OIDC_PRINCIPAL ? json(env.CAIRN_OIDC_PRINCIPAL) : undefined,
    login: env.CAIRN_OIDC_LOGIN ? json(env.CAIRN_OIDC_LOGIN) : undefined,
  });
  if (parsed.success) return { trust: parsed.data, problems: [] };
  const problems = parsed.error.issues.map(({ path: [field, ...rest], message }) => {
    const name = FIELDS[field as keyof IssuerTrust];
    return given.includes(name)
      ? `${[name, ...rest].join('.')}: ${message}`
      : `${name}: is needed with CAIRN_OIDC_ISSUER`;
  });
  return { problems };
}

/** The same as environment variables. */
export function writeIssuerSettings({
  issuer,
  audience,
  roles,
  principalClaim,
  login,
}: IssuerTrust): Record<string, string> {
  return {
    CAIRN_OIDC_ISSUER: issuer,
    CAIRN_OIDC_AUDIENCE: audience,
    CAIRN_OIDC_ROLES: JSON.stringify(roles.map((rule) => ({ ...rule, grant: writeGrant(rule.grant) }))),
    CAIRN_OIDC_PRINCIPAL:
      typeof principalClaim === 'string' ? principalClaim : JSON.stringify(principalClaim),
    ...(login ? { CAIRN_OIDC_LOGIN: JSON.stringify(login) } : {}),
  };
}

/** A list or object in JSON, or the text itself. */
function json(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
