import type { Hono } from 'hono';
import type { ApiEnv } from '../bind.ts';
import type { ApiDeps } from '../deps.ts';
import { onDemand } from '../on-demand.ts';

/**
 * Git and Git LFS: every model is a repository at `/<workspace>/<model>.git`. What speaks their protocols is loaded with the
 * first request that does.
 */
export function registerGit(app: Hono<ApiEnv>, deps: ApiDeps): void {
  const git = onDemand(async () => (await import('./git.handlers.ts')).gitHandlers(deps));
  const repository = '/:workspace/:model';
  app.get(`${repository}/info/refs`, async (c) => (await git()).refs(c));
  app.post(`${repository}/git-upload-pack`, async (c) => (await git()).uploadPack(c));
  app.post(`${repository}/git-receive-pack`, async (c) => (await git()).receivePack(c));

  const lfs = onDemand(async () => (await import('./lfs.handlers.ts')).lfsHandlers(deps));
  const base = `${repository}/info/lfs`;
  app.post(`${base}/objects/batch`, async (c) => (await lfs()).batch(c));
  app.post(`${base}/multipart/:name`, async (c) => (await lfs()).complete(c, c.req.param('name')));
  app.post(`${base}/verify`, async (c) => (await lfs()).verify(c));
  app.post(`${base}/locks`, async (c) => (await lfs()).lock(c));
  app.get(`${base}/locks`, async (c) => (await lfs()).locks(c));
  app.post(`${base}/locks/verify`, async (c) => (await lfs()).verifyLocks(c));
  app.post(`${base}/locks/:id/unlock`, async (c) => (await lfs()).unlock(c, c.req.param('id')));
}
