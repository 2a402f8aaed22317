import type { TokenClaims } from '../ports/token-verifier.ts';
import { matches } from './grant.ts';

/** `groups`, `realm_access.roles`, or the names one below the other where a name has a dot in it. */
export type ClaimPath = string | readonly string[];

/** Claims that hold words with spaces between them (RFC 8693, section 4.2; Entra ID's `scp`). */
const WORDS = new Set(['scope', 'scp']);

/**
 * A claim's values as text: those of a list one by one, a scope's words one by one, and none where it is an object or is
 * not there. A name with dots is first looked for as it is, since Auth0's are addresses, then as a path.
 */
export function claimValues(claims: TokenClaims, path: ClaimPath): string[] {
  const [value, name] = find(claims, path);
  if (name === 'email' && !isVerified(claims)) return [];
  if (typeof value === 'string' && WORDS.has(name)) return value.split(' ').filter((word) => word !== '');
  return (Array.isArray(value) ? value : [value]).flatMap(textOf);
}

/** Whether a value of the claim fits the pattern, in which `*` stands for any run of characters. */
export const claimMatches = (claims: TokenClaims, path: ClaimPath, pattern: string): boolean =>
  claimValues(claims, path).some((value) => matches(pattern, value));

function find(claims: TokenClaims, path: ClaimPath): [value: unknown, name: string] {
  if (typeof path === 'string' && Object.hasOwn(claims, path)) return [claims[path], path];
  const names = typeof path === 'string' ? path.split('.') : path;
  const value = names.reduce<unknown>(
    (found, name) =>
      typeof found === 'object' && found !== null && Object.hasOwn(found, name)
        ? (found as Record<string, unknown>)[name]
        : undefined,
    claims,
  );
  return [value, names.length === 1 ? (names[0] ?? '') : ''];
}

/** An address that the issuer has not verified may be anyone's (OpenID Connect Core 1.0, section 5.7). */
const isVerified = ({ email_verified }: TokenClaims) => email_verified === true || email_verified === 'true';

const textOf = (value: unknown): string[] =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? [String(value)] : [];
