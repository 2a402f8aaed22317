import { errors } from 'jose';
import { createRemoteJWKSet, customFetch } from 'jose/jwks/remote';
import { decodeJwt } from 'jose/jwt/decode';
import { jwtVerify } from 'jose/jwt/verify';
import * as z from 'zod';
import { type IssuerTrust, isSafeUrl } from '../access/issuer.ts';
import { CairnError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { TokenClaims, TokenVerifier } from '../ports/token-verifier.ts';

/** Signatures with a key pair. One with a shared secret could be made by whoever knows the public key. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];

/** ID tokens and access tokens (RFC 9068, section 2.1). An issuer signs other things too, such as logout tokens. */
const TYPES = ['jwt', 'at+jwt', 'application/at+jwt', 'application/jwt'];

const TOKEN_MAX = 16_384;
const TOLERANCE_SECONDS = 30;
const TIMEOUT_MS = 5000;
const DOCUMENT_MAX = 512 * 1024;
/** After keys could not be had, the issuer is asked again this much later at the earliest. */
const RETRY_MS = 5000;

const Discovery = z.object({ issuer: z.string(), jwks_uri: z.url() });
const KeySet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })) });

interface Options {
  readonly trust: Pick<IssuerTrust, 'issuer' | 'audience'>;
  readonly clock: Clock;
  /** Hears why keys could not be had. */
  readonly onFault: (error: Error) => void;
}

/**
 * Checks an issuer's JWTs by its published keys (OpenID Connect Discovery 1.0, section 4; RFC 7517). Nothing is fetched
 * before the first token. Keys are kept for ten minutes; a token signed by one that is not among them has them fetched
 * anew, twice a minute at most.
 */
export function openOidcIssuer({ trust: { issuer, audience }, clock, onFault }: Options): TokenVerifier {
  const fetchJson = documentReader(issuer, clock, onFault);
  const discovery = new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
  const keysAt = (document: unknown): URL => {
    const { issuer: named, jwks_uri } = Discovery.parse(document);
    if (named !== issuer) throw new Error(`it is of the issuer "${named}", which is written differently`);
    const url = new URL(jwks_uri);
    if (!isSafeUrl(url)) throw new Error(`its jwks_uri ${jwks_uri} is not https`);
    return url;
  };
  // Where the keys are is asked each time that they are fetched; while that fails, those that are kept stay good.
  const keys = createRemoteJWKSet(discovery, {
    [customFetch]: async () => {
      const url = await fetchJson(discovery, keysAt);
      return Response.json(await fetchJson(url, (document) => KeySet.parse(document)));
    },
  });

  return {
    async verify(token) {
      if (token.length > TOKEN_MAX) throw refused(`is longer than ${TOKEN_MAX} characters`);
      try {
        // Somebody else's token is no reason to ask for keys.
        if (decodeJwt(token).iss !== issuer) throw refused(`is not of the issuer ${issuer}`);
        const { payload, protectedHeader } = await jwtVerify(token, keys, {
          issuer,
          audience,
          algorithms: ALGORITHMS,
          requiredClaims: ['exp'],
          clockTolerance: TOLERANCE_SECONDS,
          currentDate: new Date(clock.now()),
        });
        if (!TYPES.includes((protectedHeader.typ ?? 'JWT').toLowerCase()) || payload.events !== undefined)
          throw refused('is neither an access token nor an ID token');
        if (payload.cnf !== undefined)
          throw refused('is bound to a key (cnf), whose proof Cairn does not take');
        return payload as TokenClaims;
      } catch (error) {
        throw error instanceof errors.JOSEError ? refused(reasonOf(error, audience)) : error;
      }
    },
  };
}

const refused = (reason: string) => new CairnError('UNAUTHENTICATED', `The token ${reason}.`);

function reasonOf(error: errors.JOSEError, audience: string): string {
  if (error instanceof errors.JWTExpired) return 'has expired';
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.reason === 'missing') return `has no claim "${error.claim}"`;
    if (error.claim === 'aud') return `is not for the audience "${audience}"`;
    return error.claim === 'nbf' ? 'is not valid yet' : `has a claim "${error.claim}" that is not right`;
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return `is not signed by one of ${ALGORITHMS.join(', ')}`;
  if (error instanceof errors.JWKSNoMatchingKey) return 'is not signed by one of the issuer’s keys';
  if (error instanceof errors.JWKSMultipleMatchingKeys)
    return 'does not say which of the issuer’s keys signed it';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'has a signature that is not right';
  return 'is not a well-formed JWT';
}

/**
 * Fetches a JSON document of the issuer within limits of time and size, following no redirects. After a failure all
 * fetches fail for a while, so that an issuer which is down is not asked once for each request.
 */
function documentReader(issuer: string, clock: Clock, onFault: Options['onFault']) {
  let failure: { readonly error: CairnError; readonly until: number } | undefined;
  return async <T>(url: URL, parse: (document: unknown) => T): Promise<T> => {
    if (failure && clock.now() < failure.until) throw failure.error;
    try {
      const parsed = parse(JSON.parse(await fetchText(url)));
      failure = undefined;
      return parsed;
    } catch (error) {
      const detail = `The keys of the issuer ${issuer} cannot be had: ${url.href}: ${causeOf(error)}.`;
      const unavailable = new CairnError('ISSUER_UNAVAILABLE', detail);
      failure = { error: unavailable, until: clock.now() + RETRY_MS };
      onFault(unavailable);
      throw unavailable;
    }
  };
}

/** What a kept connection says that the issuer closed meanwhile, while a function was frozen for example. */
const CLOSED = ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'];

async function fetchText(url: URL): Promise<string> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const get = () => fetch(url, { signal, redirect: 'manual', headers: { accept: 'application/json' } });
  const answer = await get().catch((error) => {
    if (CLOSED.includes(error.cause?.code)) return get();
    throw error;
  });
  if (answer.status !== 200) {
    await answer.body?.cancel();
    throw new Error(`it answers ${answer.status}`);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of answer.body ?? []) {
    size += chunk.length;
    if (size > DOCUMENT_MAX) throw new Error(`it is larger than ${DOCUMENT_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** In a few words: `fetch` says why in its error's cause. */
function causeOf(error: unknown): string {
  if (error instanceof z.ZodError) {
    return error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  }
  const { name, message, cause } = error as Error & { cause?: { code?: string; message?: string } };
  if (name === 'TimeoutError') return `no answer in ${TIMEOUT_MS / 1000} s`;
  if (name === 'SyntaxError') return 'it is not JSON';
  return cause?.code ?? cause?.message ?? message;
}
