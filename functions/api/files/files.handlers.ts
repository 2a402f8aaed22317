import { CairnError } from '../../../shared/errors.ts';
import { listFiles } from '../../../shared/registry/version.ts';
import { blobKey } from '../../../shared/storage/prefix.ts';
import { ok, type Register } from '../contract.ts';
import type { ApiDeps } from '../deps.ts';
import { pageJson } from '../page.ts';
import { rfc3339 } from '../time.ts';
import { versionRef } from '../versions/versions.handlers.ts';
import * as routes from './files.routes.ts';

/** Seconds that a download's URL is good for. */
const URL_LIFETIME = 3600;

export function registerFiles(register: Register, { ports }: ApiDeps): void {
  register(routes.listFiles, async ({ params, query }, { caller }) => {
    const { files } = await listFiles(ports, caller, versionRef(params));
    const first = query.cursor === undefined ? 0 : files.findIndex(({ path }) => path === query.cursor) + 1;
    const items = files.slice(first, first + query.limit);
    const last = items.at(-1);
    const more = last !== undefined && first + query.limit < files.length;
    const page = more ? { items, next: last.path } : { items };
    return ok(pageJson(page, ({ path, size, sha256, mode }) => ({ path, size, sha256, mode })));
  });

  register(routes.getFile, async ({ params, query }, { caller }) => {
    const { model, version, files } = await listFiles(ports, caller, versionRef(params));
    if (version.reference !== undefined) {
      throw new CairnError(
        'VERSION_WITHOUT_BYTES',
        `Version ${version.number} is a reference to ${version.reference}.`,
        'version',
      );
    }
    const file = files.find(({ path }) => path === params.path);
    if (!file)
      throw new CairnError(
        'FILE_NOT_FOUND',
        `Version ${version.number} has no file "${params.path}".`,
        'path',
      );
    const { size, sha256 } = file;
    const url = await ports.blobs.presignGet(blobKey(model.workspace, model.id, sha256), {
      expiresIn: URL_LIFETIME,
      filename: params.path.slice(params.path.lastIndexOf('/') + 1),
      contentType: 'application/octet-stream',
    });
    if (query.redirect === 'false') {
      return ok({ url, size, sha256, expiresAt: rfc3339(ports.clock.now() + URL_LIFETIME * 1000) });
    }
    return { status: 302, headers: { location: url, etag: `"${sha256}"`, 'cache-control': 'no-store' } };
  });
}
