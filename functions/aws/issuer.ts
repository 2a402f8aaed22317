import type { Logger } from 'pino';
import type { TrustedIssuer } from '../../shared/access/issuer.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import { lazily } from './lazy-port.ts';
import type { Settings } from './settings.ts';

/** The issuer that the settings trust; what checks its tokens is loaded at the first of them. */
export function openIssuer(
  { issuer: trust }: Settings,
  clock: Clock,
  logger: Pick<Logger, 'warn'>,
): TrustedIssuer | undefined {
  if (!trust) return undefined;
  const verifier = lazily(async () => {
    const { openOidcIssuer } = await import('../../shared/adapters/oidc-issuer.ts');
    const onFault = (err: Error) => logger.warn({ err }, 'the OpenID Connect issuer cannot be used');
    return openOidcIssuer({ trust, clock, onFault });
  });
  return { trust, verifier };
}
