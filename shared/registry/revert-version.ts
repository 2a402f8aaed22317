import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import type { Ports } from '../ports/ports.ts';
import { packItem } from './commit-version.ts';
import { newVersion } from './create-version.ts';
import { fileListItem, readFileList } from './file-list.ts';
import { commitObject } from './git/commit-object.ts';
import { writePack } from './git/pack.ts';
import { modelChain, repositoryKey, versionKey } from './keys.ts';
import { findModel } from './model.ts';
import { lastPack, type Repository, readRepository } from './repository.ts';
import { openObjects } from './repository-objects.ts';
import {
  changeOfVersion,
  fileListName,
  findVersion,
  type StoredVersion,
  type Version,
  type VersionRef,
} from './version.ts';

/**
 * Makes the next version with the bytes of an older one: a commit on top of `main` with the older one's tree.
 * @throws CairnError `VERSION_NOT_READY`, `VERSION_WITHOUT_BYTES`
 */
export async function revertVersion(
  ports: Ports,
  caller: Caller,
  ref: VersionRef,
  message = '',
): Promise<StoredVersion> {
  authorize(caller, 'contributor', ref);
  const model = await findModel(ports.table, ref);
  return exclusively(modelChain(model.id), async () => {
    const old = await findVersion(ports.table, model.id, ref.number);
    if (old.status !== 'READY')
      throw new CairnError('VERSION_NOT_READY', `Version ${ref.number} is ${old.status}.`, 'version');
    const root = await readRepository(ports.table, model.id);
    const database = await openObjects(ports, model, root.body);
    const info = old.commit === undefined ? undefined : await database.commit(old.commit);
    if (!info)
      throw new CairnError('VERSION_WITHOUT_BYTES', `Version ${ref.number} is a reference.`, 'version');
    const files = (await readFileList(ports, model.id, fileListName(ref.number))) ?? [];
    const now = ports.clock.now();
    const number = root.body.nextNumber;
    const words = message || `Revert to version ${ref.number}`;
    const made = commitObject({
      tree: info.tree,
      parents: root.body.main ? [root.body.main.commit] : [],
      author: caller.principal,
      at: now,
      message: words,
    });
    const draft = { message: words, description: '', tags: {}, source: { via: 'api' as const } };
    const version: Version = {
      ...newVersion(caller, draft, number, now, files),
      ...(old.framework !== undefined && { framework: old.framework }),
      ...(old.modelFormat !== undefined && { modelFormat: old.modelFormat }),
      ...(old.entry !== undefined && { entry: old.entry }),
      ...(old.signature !== undefined && { signature: old.signature }),
      status: 'READY',
      commit: made.oid,
      readyAt: now,
    };
    const pack = lastPack(root.body) + 1;
    const body: Repository = {
      ...root.body,
      nextNumber: number + 1,
      main: { commit: made.oid, version: number, pushed: true },
      packs: pack,
    };
    await commit(
      ports,
      caller,
      { ...changeOfVersion(model.id, { ...ref, number }, 'version.created'), after: version },
      [
        { put: { ...versionKey(model.id, number), body: version }, if: 'absent' },
        { put: { ...repositoryKey(model.id), body }, if: { rev: root.rev } },
        { put: await packItem(ports, model, pack, made.oid, writePack([made])), if: 'absent' },
        { put: await fileListItem(ports.blobs, model, fileListName(number), files), if: 'absent' },
        // Its bytes must not go meanwhile.
        { check: versionKey(model.id, ref.number), if: { rev: old.rev } },
      ],
    );
    return { ...version, rev: 1 };
  });
}
