import { Hono } from 'hono';
import { CairnError } from '../../shared/errors.ts';
import { registerAliases } from './aliases/aliases.handlers.ts';
import { registerApprovals } from './approvals/approvals.handlers.ts';
import { registerAudit } from './audit/audit.handlers.ts';
import { type ApiEnv, bind } from './bind.ts';
import type { Contract, Register } from './contract.ts';
import { registerDeleted } from './deleted/deleted.handlers.ts';
import type { ApiDeps } from './deps.ts';
import { registerEndpoints } from './endpoints/endpoints.handlers.ts';
import { registerFiles } from './files/files.handlers.ts';
import { registerGit } from './git/git.routes.ts';
import { gitErrorResponse, isGitPath, isNamedUpload } from './git/git-error.ts';
import { noRepository } from './git/model-ref.ts';
import { accessLog } from './middleware/access-log.ts';
import { answerCache } from './middleware/answer-cache.ts';
import { authentication } from './middleware/authentication.ts';
import { idempotency } from './middleware/idempotency.ts';
import { locationBelow } from './middleware/location.ts';
import { pathGuard } from './middleware/path-guard.ts';
import { readingAhead } from './middleware/read-ahead.ts';
import { requestId } from './middleware/request-id.ts';
import { namingMetadata } from './middleware/resource-metadata.ts';
import { isMlflowPath } from './mlflow/path.ts';
import { registerModels } from './models/models.handlers.ts';
import { onDemand } from './on-demand.ts';
import { problemResponse } from './problem.ts';
import { matches, pathOf } from './request-path.ts';
import { registerSearch } from './search/search.handlers.ts';
import { registerSystem } from './system/system.handlers.ts';
import { registerTokens } from './tokens/tokens.handlers.ts';
import { registerUploads } from './uploads/uploads.handlers.ts';
import { registerVersions } from './versions/versions.handlers.ts';
import { registerWebhooks } from './webhooks/webhooks.handlers.ts';
import { registerWorkspaces } from './workspaces/workspaces.handlers.ts';

/**
 * The native API: every route of `/api/v1` and those about the service itself. It runs wherever Hono does; who it
 * stands on comes with `deps`.
 */
export function createApp(deps: ApiDeps): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  const contracts: Contract[] = [];
  const open = new Set<string>();
  const idempotent = idempotency(deps.ports, async (request) => app.fetch(request));

  if (deps.issuer) app.use(namingMetadata(deps));
  const mlflow = onDemand(async () => (await import('./mlflow/door.ts')).mlflowDoor(deps));
  app.use(async (c, next) => (isMlflowPath(c.req.path) ? (await mlflow())(c) : next()));
  app.use(requestId, accessLog(deps.logger));
  const base = deps.publicUrl === undefined ? '/' : new URL(deps.publicUrl).pathname;
  if (base !== '/') app.use(locationBelow(base));
  if (deps.during) app.use(readingAhead(deps.during));
  if (deps.revision) app.use(answerCache(deps.ports.clock, deps.revision));
  app.use(
    authentication(deps, { has: (path) => open.has(path) || isNamedUpload(path) }),
    pathGuard(contracts),
  );
  app.onError((error, c) =>
    isGitPath(c.req.path)
      ? gitErrorResponse(error, c.req.raw, c.get('requestId'), deps.logger)
      : problemResponse(error, c.get('requestId'), deps.logger),
  );
  app.notFound((c) => {
    const path = pathOf(c.req.url);
    if (isGitPath(path)) throw noRepository(path);
    const allowed = contracts
      .filter((contract) => matches(contract, path))
      .map(({ method }) => method.toUpperCase());
    if (allowed.length === 0) {
      const error = new CairnError('NOT_FOUND', `There is nothing at ${c.req.method} ${path}.`);
      return problemResponse(error, c.get('requestId'), deps.logger);
    }
    const error = new CairnError(
      'METHOD_NOT_ALLOWED',
      `${path} takes ${allowed.join(', ')}, not ${c.req.method}.`,
    );
    const allow = allowed.includes('GET') ? [...allowed, 'HEAD'] : allowed;
    return problemResponse(error, c.get('requestId'), deps.logger, { allow: allow.join(', ') });
  });

  const register: Register = (contract, handler) => {
    contracts.push(contract);
    if (contract.open) open.add(contract.path);
    bind(app, contract, handler, idempotent);
  };
  const described = onDemand(async () =>
    (await import('./openapi.ts')).openApiDocument(contracts, deps.version, deps.publicUrl),
  );

  registerWorkspaces(register, deps);
  registerModels(register, deps);
  registerVersions(register, deps);
  registerFiles(register, deps);
  registerUploads(register, deps);
  registerAliases(register, deps);
  registerApprovals(register, deps);
  registerEndpoints(register, deps);
  registerDeleted(register, deps);
  registerAudit(register, deps);
  registerTokens(register, deps);
  registerWebhooks(register, deps);
  registerSearch(register, deps);
  registerGit(app, deps);
  registerSystem(register, deps, described);
  return app;
}
