import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../ports/clock.ts';

/** What a signed URL lets its bearer do with one object. */
export type SignedAccess =
  | { readonly op: 'get'; readonly key: string; readonly filename?: string; readonly contentType?: string }
  | { readonly op: 'put'; readonly key: string; readonly size: number }
  | {
      readonly op: 'part';
      readonly key: string;
      readonly uploadId: string;
      readonly number: number;
      /** Exactly so many bytes; or, where nobody knows, `max` at most. */
      readonly size?: number | undefined;
      readonly max?: number | undefined;
    };

export type Verified =
  | { readonly ok: true; readonly access: SignedAccess }
  | { readonly ok: false; readonly reason: string };

/** Where the door to signed URLs is. */
export const STORAGE_PATH = '/storage/';

/**
 * URLs that carry their own permission: `<baseUrl>/storage/<key>?op=…&expires=…&…&signature=…`, an HMAC-SHA256 over
 * the key and every parameter. `baseUrl` is no part of it, so a URL works behind a proxy.
 */
export function urlSigner(signingKey: Uint8Array, baseUrl: () => string, clock: Clock) {
  const signatureOf = (key: string, parameters: readonly (readonly [string, string])[]): string =>
    createHmac('sha256', signingKey)
      .update(JSON.stringify([key, ...parameters.toSorted(([a], [b]) => (a < b ? -1 : 1))]))
      .digest('hex');

  /** `expiresIn` in seconds. */
  const sign = ({ key, ...access }: SignedAccess, expiresIn: number): string => {
    const parameters = Object.entries({ ...access, expires: Math.floor(clock.now() / 1000) + expiresIn })
      .filter(([, value]) => value !== undefined)
      .map(([name, value]): [string, string] => [name, String(value)]);
    const query = new URLSearchParams([...parameters, ['signature', signatureOf(key, parameters)]]);
    return `${baseUrl()}${STORAGE_PATH}${key.split('/').map(encodeURIComponent).join('/')}?${query}`;
  };

  /** Reads a request's path and query back, if they were signed here, have not changed and not expired. */
  const verify = (pathAndQuery: string): Verified => {
    const url = URL.parse(pathAndQuery, 'http://localhost');
    const key = url === null ? undefined : decodeKey(url.pathname);
    if (url === null || key === undefined) return { ok: false, reason: 'The address is malformed.' };
    const parameters = [...url.searchParams].filter(([name]) => name !== 'signature');
    const given = Buffer.from(url.searchParams.get('signature') ?? '');
    const expected = Buffer.from(signatureOf(key, parameters));
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      return { ok: false, reason: 'The signature does not match: ask for a new URL.' };
    }
    const { expires, ...signed } = Object.fromEntries(parameters);
    if (clock.now() >= Number(expires) * 1000) {
      return { ok: false, reason: 'The signature has expired: ask for a new URL.' };
    }
    // The signature vouches for the shape: only `sign` makes one.
    const numbers = ['size', 'max', 'number'].flatMap((name) =>
      signed[name] === undefined ? [] : [[name, Number(signed[name])]],
    );
    const access = { ...signed, key, ...Object.fromEntries(numbers) } as unknown as SignedAccess;
    return { ok: true, access };
  };

  return { sign, verify };
}

function decodeKey(pathname: string): string | undefined {
  if (!pathname.startsWith(STORAGE_PATH)) return undefined;
  try {
    return decodeURIComponent(pathname.slice(STORAGE_PATH.length));
  } catch {
    return undefined;
  }
}
