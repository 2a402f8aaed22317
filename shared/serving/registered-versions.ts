import type { Ports } from '../ports/ports.ts';
import { findAlias } from '../registry/alias.ts';
import { readFileList } from '../registry/file-list.ts';
import { repositoryKey, versionKey } from '../registry/keys.ts';
import { findModel } from '../registry/model.ts';
import { readRepository } from '../registry/repository.ts';
import { fileListName, findVersion } from '../registry/version.ts';
import { blobKey } from '../storage/prefix.ts';
import type { VersionSource } from './version-source.ts';

/** The registry, as serving sees it. */
export function registeredVersions(
  ports: Pick<Ports, 'table' | 'blobs'>,
  { noPython }: Pick<VersionSource, 'noPython'> = {},
): VersionSource {
  return {
    noPython,
    async findModel(workspace, name) {
      const { id } = await findModel(ports.table, { workspace, name });
      // The root goes with the model, whose deletion names its revision: so it is written again as it is.
      const { body, rev } = await readRepository(ports.table, id);
      return { id, name, hold: { put: { ...repositoryKey(id), body }, if: { rev } } };
    },
    async findVersion(modelId, number) {
      const { status, approval, reference, rev } = await findVersion(ports.table, modelId, number);
      return {
        status,
        approval: approval.state,
        reference,
        check: { check: versionKey(modelId, number), if: { rev } },
      };
    },
    async listFiles(workspace, modelId, number) {
      const files = (await readFileList(ports, modelId, fileListName(number))) ?? [];
      return files.map(({ path, size, sha256 }) => ({
        path,
        size,
        sha256,
        key: blobKey(workspace, modelId, sha256),
      }));
    },
    async resolveAlias(modelId, alias) {
      return (await findAlias(ports.table, modelId, alias))?.version ?? undefined;
    },
  };
}
