import { completeUpload, requestCompletion } from '../../../shared/registry/complete-upload.ts';
import { abortUpload } from '../../../shared/registry/end-upload.ts';
import { createUpload, getUpload, signParts, type UploadFile } from '../../../shared/registry/upload.ts';
import type { Upload, UploadRef } from '../../../shared/registry/upload-record.ts';
import { apiPath, created, NO_CONTENT, ok, type Register } from '../contract.ts';
import type { ApiDeps } from '../deps.ts';
import { rfc3339 } from '../time.ts';
import { answerVersion, draftOf } from '../versions/versions.handlers.ts';
import * as routes from './uploads.routes.ts';

export function registerUploads(register: Register, { ports, verifyLater }: ApiDeps): void {
  register(routes.createUpload, async ({ params, body }, { caller }) => {
    const { workspace, model } = params;
    const { files, ...said } = body;
    const made = await createUpload(
      ports,
      caller,
      { workspace, name: model },
      draftOf(said, 'upload'),
      files,
    );
    return created(
      uploadJson(made),
      apiPath('workspaces', workspace, 'models', model, 'uploads', made.upload.id),
    );
  });

  register(routes.getUpload, async ({ params }, { caller }) => {
    return ok(uploadJson(await getUpload(ports, caller, uploadRef(params))));
  });

  register(routes.signParts, async ({ params, body }, { caller }) => {
    return ok({ items: await signParts(ports, caller, uploadRef(params), body) });
  });

  register(routes.completeUpload, async ({ params }, { caller }) => {
    const ref = uploadRef(params);
    if (!verifyLater) return answerVersion(ref, await completeUpload(ports, caller, ref));
    const version = await requestCompletion(ports, caller, ref);
    if (version.status === 'PENDING') await verifyLater(ref);
    return { ...answerVersion(ref, version), status: version.status === 'PENDING' ? 202 : 200 };
  });

  register(routes.abortUpload, async ({ params }, { caller }) => {
    await abortUpload(ports, caller, uploadRef(params));
    return NO_CONTENT;
  });
}

const uploadRef = (params: { workspace: string; model: string; upload: string }): UploadRef => ({
  workspace: params.workspace,
  name: params.model,
  upload: params.upload,
});

const uploadJson = ({ upload, files }: { upload: Upload; files: readonly UploadFile[] }) => ({
  id: upload.id,
  version: upload.version,
  state: upload.state,
  createdAt: rfc3339(upload.createdAt),
  createdBy: upload.createdBy,
  expiresAt: rfc3339(upload.expiresAt),
  files: files.map(({ path, size, sha256, partSize, parts, done, received }) => ({
    path,
    size,
    sha256,
    partSize,
    parts,
    done,
    received,
  })),
});
