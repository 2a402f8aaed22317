import { authorize } from '../../../shared/access/grant.ts';
import { CairnError } from '../../../shared/errors.ts';
import { ok, type Register } from '../contract.ts';
import type { ApiDeps } from '../deps.ts';
import { onDemand } from '../on-demand.ts';
import * as routes from './system.routes.ts';

/** The page runs no script and loads nothing, from this host or another. */
const DOCS_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

/** @param document the OpenAPI document, made when it is first asked for */
export function registerSystem(register: Register, deps: ApiDeps, document: () => Promise<object>): void {
  const page = onDemand(async () => {
    if (!deps.docs)
      throw new CairnError('NOT_SUPPORTED', 'This installation has no docs page; see /openapi.json.');
    return (await deps.docs())(await document());
  });

  register(routes.healthz, () => ok({ status: 'ok' }));

  register(routes.readyz, async (_, { requestId }) => {
    try {
      await deps.ready?.();
      return ok({ status: 'ok' });
    } catch (error) {
      deps.logger.error({ err: error, requestId }, 'not ready');
      const why = error instanceof CairnError ? { code: error.code, detail: error.detail } : {};
      return { status: 503, json: { status: 'unavailable', ...why } };
    }
  });

  register(routes.version, () => ok({ name: 'cairn', version: deps.version, api: 'v1' }));

  register(routes.resourceMetadata, (_, { origin }) => {
    if (!deps.issuer)
      throw new CairnError(
        'NOT_FOUND',
        'No OpenID Connect issuer is trusted here, only tokens of Cairn’s own.',
      );
    const resource = deps.publicUrl ?? origin;
    return ok({
      resource,
      authorization_servers: [deps.issuer.trust.issuer],
      bearer_methods_supported: ['header'],
      resource_name: 'Cairn',
      resource_documentation: `${resource}/docs`,
      cairn_login: deps.issuer.trust.login,
    });
  });

  register(routes.metrics, async (_, { caller }) => {
    authorize(caller, 'viewer', { workspace: '*' });
    if (!deps.metrics) throw new CairnError('NOT_SUPPORTED', 'This installation has its metrics elsewhere.');
    return {
      status: 200,
      text: await deps.metrics(),
      headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
    };
  });

  register(routes.openapi, async () => ok(await document()));

  register(routes.docs, async () => ({ status: 200, text: await page(), headers: DOCS_HEADERS }));

  register(routes.root, () => ({ status: 302, headers: { location: '/docs' } }));
}
