import * as z from 'zod';
import { CairnError } from '../errors.ts';
import type { TokenClaims, TokenVerifier } from '../ports/token-verifier.ts';
import type { Caller } from './caller.ts';
import { claimMatches, claimValues } from './claim.ts';
import type { Grant } from './grant.ts';
import { readGrant } from './grant-text.ts';
import { OIDC, Principal } from './principal.ts';

const ClaimPath = z.union([z.string().min(1).max(500), z.array(z.string().min(1).max(500)).min(1).max(10)]);

const Match = { claim: ClaimPath, value: z.string().min(1).max(1000) };

/** Whoever's claims fit has the grant. */
const RoleRule = z.strictObject({
  ...Match,
  and: z.array(z.strictObject(Match)).min(1).max(10).optional(),
  grant: z.string().transform((text, context): Grant => {
    const grant = readGrant(text);
    if (typeof grant !== 'string') return grant;
    context.addIssue({ code: 'custom', message: `${grant} Write role@workspace/pattern.` });
    return z.NEVER;
  }),
});

/** `https:`, or anything on this machine: what comes from another one in the clear could be anybody's. */
export function isSafeUrl(url: URL): boolean {
  if (url.protocol === 'https:') return true;
  const { hostname } = url;
  return (
    url.protocol === 'http:' &&
    (hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname))
  );
}

const IssuerUrl = z
  .string()
  .max(1000)
  .refine((text) => {
    const url = URL.parse(text);
    return url !== null && isSafeUrl(url) && !/[?#]/.test(text) && url.username === '' && url.password === '';
  }, 'must be an https address without query or password, as the issuer writes it (http only on this machine)');

/** The OpenID Connect issuer whose tokens are taken beside Cairn's own, and what its claims give. */
export const IssuerTrust = z.strictObject({
  issuer: IssuerUrl,
  audience: z.string().min(1).max(1000),
  roles: z
    .array(RoleRule, 'must be JSON like [{"claim":"groups","value":"ml","grant":"viewer@default/*"}]')
    .min(1)
    .max(100),
  principalClaim: ClaimPath.default('sub'),
  login: z
    .record(z.string(), z.string(), 'must be JSON like {"client_id":"cairn-cli","scope":"openid"}')
    .refine(({ client_id }) => client_id !== undefined, 'must have a client_id')
    .refine((login) => !('client_secret' in login), 'must be of a public client: everybody may read it')
    .optional()
    .describe('what `cairn login --oidc` tells the issuer of itself'),
});
export type IssuerTrust = z.infer<typeof IssuerTrust>;

export interface TrustedIssuer {
  readonly trust: IssuerTrust;
  readonly verifier: TokenVerifier;
}

/**
 * The form of a JWT in compact serialisation (RFC 7515, section 3.1), whose header is a JSON object. None of the tokens
 * that Cairn makes has it.
 */
export const isJwt = (token: string): boolean => /^e[w-z][\w-]*\.[\w-]+\.[\w-]*$/.test(token);

/**
 * Who sent this token of the issuer, with the grants of all rules that fit.
 * @throws CairnError `UNAUTHENTICATED`, `ISSUER_UNAVAILABLE`; `PERMISSION_DENIED` for someone whom no rule gives anything
 */
export async function authenticateByIssuer(
  { trust, verifier }: TrustedIssuer,
  token: string,
  requestId: string,
): Promise<Caller> {
  const claims = await verifier.verify(token);
  const principal = principalOf(trust, claims);
  const grants = trust.roles
    .filter(({ claim, value, and = [] }) =>
      [{ claim, value }, ...and].every((one) => claimMatches(claims, one.claim, one.value)),
    )
    .map(({ grant }) => grant);
  if (grants.length === 0) {
    const detail = `${trust.issuer} vouches for "${principal}", but none of the token’s claims gives a role here.`;
    throw new CairnError('PERMISSION_DENIED', detail);
  }
  return {
    principal,
    issuer: trust.issuer,
    expiresAt: Math.min(claims.exp * 1000, LATEST),
    grants,
    requestId,
  };
}

/** The last moment that RFC 3339 can say. */
const LATEST = Date.UTC(9999, 11, 31, 23, 59, 59);

/** A name that none of Cairn's own tokens can have. */
function principalOf({ principalClaim }: IssuerTrust, claims: TokenClaims): string {
  const [name, ...others] = claimValues(claims, principalClaim);
  const parsed = Principal.safeParse(name === undefined || name.trim() === '' ? undefined : OIDC + name);
  if (parsed.success && others.length === 0) return parsed.data;
  const claim = typeof principalClaim === 'string' ? principalClaim : principalClaim.join('.');
  throw new CairnError('UNAUTHENTICATED', `The token’s claim "${claim}" is not the name of anybody.`);
}
