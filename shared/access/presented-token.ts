import { CairnError } from '../errors.ts';

/**
 * The token in an Authorization header: a `Bearer`, or the password of `Basic` with any user name, which is what git,
 * MLflow and OCI clients send. @throws CairnError `UNAUTHENTICATED`
 */
export function presentedToken(authorization: string | null | undefined): string {
  const refuse = (detail: string) => new CairnError('UNAUTHENTICATED', detail, 'Authorization');
  if (authorization == null) throw refuse('The request has no token.');
  const [, scheme, credentials] = /^(Bearer|Basic) +(\S+) *$/i.exec(authorization) ?? [];
  if (scheme === undefined || credentials === undefined) {
    throw refuse('Authorization must be `Bearer <token>`, or `Basic` with the token as password.');
  }
  if (scheme.toLowerCase() === 'bearer') return credentials;
  const pair = Buffer.from(credentials, 'base64').toString();
  return pair.slice(pair.indexOf(':') + 1);
}
