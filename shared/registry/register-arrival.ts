import { createHash } from 'node:crypto';
import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import type { Ports } from '../ports/ports.ts';
import type { Key } from '../ports/table.ts';
import { arrivalStagingKey, blobKey } from '../storage/prefix.ts';
import { addVersion, checkPaths } from './create-version.ts';
import { createModel, findModel, type ModelRef, type StoredModel } from './model.ts';
import { inspectObjects, readTexts } from './stored-files.ts';
import { relyingOnBytes } from './sweep.ts';
import { findVersion, type StoredVersion } from './version.ts';
import { getWorkspace } from './workspace.ts';

/** Files that somebody put into the incoming area of a model. */
export interface Arrival extends ModelRef {
  /** Names this arrival and no other: what makes its registration happen once. */
  readonly id: string;
  readonly files: readonly ArrivedFile[];
  readonly message: string;
}

export interface ArrivedFile {
  readonly path: string;
  readonly open: () => AsyncIterable<Uint8Array>;
}

interface Registered {
  readonly model: string;
  readonly version: number;
}

const arrivalKey = (id: string): Key => ({ pk: `arrival/${id}`, sk: 'version' });

/**
 * Makes the next version of what arrived, and the model too if there is none: exactly once for an arrival's id, however
 * often it is told.
 * @throws CairnError `MODEL_FILE_INVALID`, `INVALID_ARGUMENT`, `WORKSPACE_NOT_FOUND`; then nothing was made, no model either
 */
export async function registerArrival(
  ports: Ports,
  caller: Caller,
  arrival: Arrival,
): Promise<StoredVersion> {
  authorize(caller, 'contributor', arrival);
  return exclusively(arrivalKey(arrival.id).pk, async () => {
    const registered = await findRegistered(ports, arrival.id);
    if (registered) return registered;
    checkPaths(arrival.files.map(({ path }) => path));
    await getWorkspace(ports, arrival.workspace);
    const staged: StagedFile[] = [];
    try {
      for (const [index, file] of arrival.files.entries())
        staged.push(await stage(ports, arrival, index, file));
      return await register(ports, caller, arrival, staged);
    } finally {
      for (const { key } of staged) await ports.blobs.delete(key);
    }
  });
}

async function register(
  ports: Ports,
  caller: Caller,
  arrival: Arrival,
  staged: readonly StagedFile[],
): Promise<StoredVersion> {
  const inspection = await inspectObjects(ports.blobs, staged);
  const model = await findOrCreate(ports, caller, arrival);
  const draft = {
    message: arrival.message,
    description: '',
    tags: {},
    source: { via: 'incoming' as const },
  };
  try {
    return await relyingOnBytes(ports, model, async (since) => {
      for (const { key, sha256 } of staged)
        await ports.blobs.copy(key, blobKey(model.workspace, model.id, sha256));
      const files = await readTexts(ports.blobs, model, staged);
      return addVersion(ports, caller, model, draft, files, inspection, since, async (number) => {
        if (await ports.table.get(arrivalKey(arrival.id)))
          throw new CairnError('CONFLICT', 'It is registered already.');
        const body: Registered = { model: model.id, version: number };
        return [{ put: { ...arrivalKey(arrival.id), body }, if: 'absent' }];
      });
    });
  } catch (error) {
    const elsewhere = error instanceof CairnError && error.code === 'CONFLICT';
    const winner = elsewhere ? await findRegistered(ports, arrival.id) : undefined;
    if (winner) return winner;
    throw error;
  }
}

async function findRegistered(ports: Ports, id: string): Promise<StoredVersion | undefined> {
  const registered = (await ports.table.get(arrivalKey(id)))?.body as Registered | undefined;
  return registered && findVersion(ports.table, registered.model, registered.version);
}

async function findOrCreate(ports: Ports, caller: Caller, ref: ModelRef): Promise<StoredModel> {
  try {
    return await findModel(ports.table, ref);
  } catch (error) {
    if (!(error instanceof CairnError && error.code === 'MODEL_NOT_FOUND')) throw error;
  }
  const { workspace, name } = ref;
  try {
    return await createModel(ports, caller, { workspace, name, description: '', tags: {} });
  } catch (error) {
    // Several files that make a model together arrive at once.
    if (!(error instanceof CairnError && error.code === 'MODEL_EXISTS')) throw error;
    return findModel(ports.table, ref);
  }
}

interface StagedFile {
  readonly key: string;
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

/** Stores one file where it belongs to no model yet, hashing it on the way. */
async function stage(
  ports: Ports,
  { workspace, id }: Arrival,
  index: number,
  { path, open }: ArrivedFile,
): Promise<StagedFile> {
  const key = arrivalStagingKey(workspace, id, index);
  const hash = createHash('sha256');
  async function* hashed() {
    for await (const chunk of open()) {
      hash.update(chunk);
      yield chunk;
    }
  }
  const { size } = await ports.blobs.put(key, hashed());
  return { key, path, size, sha256: hash.digest('hex') };
}
