import { createHash } from 'node:crypto';
import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import { BlobError } from '../ports/blob-store.ts';
import type { Ports } from '../ports/ports.ts';
import type { Op } from '../ports/table.ts';
import { blobKey } from '../storage/prefix.ts';
import { type BlobFile, commitVersion, isGitText } from './commit-version.ts';
import { FilePath, findClash } from './file-path.ts';
import { type Inspection, inspect } from './inspect.ts';
import { modelChain, repositoryKey, runVersionKey, versionKey } from './keys.ts';
import { findModel, type ModelRef, type StoredModel } from './model.ts';
import type { Tags } from './name.ts';
import { readRepository } from './repository.ts';
import { type Reliance, relyingOnBytes, requireKept } from './sweep.ts';
import { changeOfVersion, type Source, type StoredVersion, type Version } from './version.ts';

/** What a person says about a version when making it. */
export interface VersionDraft {
  readonly message: string;
  readonly description: string;
  readonly tags: Tags;
  readonly source: Source;
}

/** A file sent inside the request. */
export interface InlineFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Lower-case hex; checked where given. */
  readonly sha256?: string | undefined;
}

/** Greatest number of files of a version. */
export const FILES_MAX = 50_000;

/**
 * Makes the next version from files at hand: READY at once, its bytes durable before its record.
 * @throws CairnError `DIGEST_MISMATCH`, `MODEL_FILE_INVALID`, `INVALID_ARGUMENT` for bad paths; then nothing was made
 */
export async function createVersion(
  ports: Ports,
  caller: Caller,
  ref: ModelRef,
  draft: VersionDraft,
  inline: readonly InlineFile[],
): Promise<StoredVersion> {
  authorize(caller, 'contributor', ref);
  checkPaths(inline.map(({ path }) => path));
  const files = inline.map((file) => ({ ...announced(file), bytes: file.bytes }));
  const inspection = await inspect(
    files.map(({ path, size, bytes }) => ({
      path,
      size,
      read: async (start, end) => bytes.subarray(start, end),
    })),
  );
  const model = await findModel(ports.table, ref);
  const blobFiles = files.map(
    ({ bytes, ...file }): BlobFile => (isGitText(bytes) ? { ...file, text: bytes } : file),
  );
  return relyingOnBytes(ports, model, async (since) => {
    await Promise.all(files.map(({ sha256, bytes }) => putBlob(ports, model, sha256, bytes)));
    return addVersion(ports, caller, model, draft, blobFiles, inspection, since);
  });
}

/**
 * Commits the next version of files that are at their content addresses, inside {@link relyingOnBytes}; what `also` makes is
 * written in the same transaction.
 */
export async function addVersion(
  ports: Ports,
  caller: Caller,
  model: StoredModel,
  draft: VersionDraft,
  files: readonly BlobFile[],
  inspection: Inspection,
  since: Reliance,
  also: (number: number) => Promise<readonly Op[]> = async () => [],
): Promise<StoredVersion> {
  return exclusively(modelChain(model.id), async () => {
    const root = await readRepository(ports.table, model.id);
    await requireKept(
      ports,
      model,
      root.body,
      since,
      files.map(({ sha256 }) => sha256),
    );
    const number = root.body.nextNumber;
    const now = ports.clock.now();
    const { message } = draft;
    const made = await commitVersion(
      ports,
      model,
      root,
      { number, author: caller.principal, message, at: now },
      files,
    );
    const version: Version = {
      ...newVersion(caller, draft, number, now, files),
      ...inspection,
      status: 'READY',
      commit: made.commit,
      readyAt: now,
    };
    await commit(
      ports,
      caller,
      { ...changeOfVersion(model.id, { ...model, number }, 'version.created'), after: version },
      [
        { put: { ...versionKey(model.id, number), body: version }, if: 'absent' },
        ...fromRun(model.workspace, model.id, number, draft.source),
        ...made.ops,
        ...(await also(number)),
      ],
    );
    return { ...version, rev: 1 };
  });
}

/**
 * Makes a version without bytes, whose files are at a URI that Cairn cannot read. It is READY but cannot be deployed.
 */
export async function createReference(
  ports: Ports,
  caller: Caller,
  ref: ModelRef,
  draft: VersionDraft,
  uri: string,
): Promise<StoredVersion> {
  authorize(caller, 'contributor', ref);
  const model = await findModel(ports.table, ref);
  return exclusively(modelChain(model.id), async () => {
    const root = await readRepository(ports.table, model.id);
    const number = root.body.nextNumber;
    const now = ports.clock.now();
    const version: Version = {
      ...newVersion(caller, draft, number, now, []),
      status: 'READY',
      reference: uri,
      readyAt: now,
    };
    await commit(
      ports,
      caller,
      { ...changeOfVersion(model.id, { ...ref, number }, 'version.created'), after: version },
      [
        { put: { ...versionKey(model.id, number), body: version }, if: 'absent' },
        ...fromRun(ref.workspace, model.id, number, draft.source),
        {
          put: { ...repositoryKey(model.id), body: { ...root.body, nextNumber: number + 1 } },
          if: { rev: root.rev },
        },
      ],
    );
    return { ...version, rev: 1 };
  });
}

/** What makes a version be found by the run that it came from. */
export function fromRun(workspace: string, modelId: string, number: number, { run }: Source): Op[] {
  if (run === undefined) return [];
  return [{ put: { ...runVersionKey(workspace, run, modelId, number), body: {} }, if: 'absent' }];
}

/** A version's record before it has a commit. */
export function newVersion(
  caller: Caller,
  draft: VersionDraft,
  number: number,
  now: number,
  files: readonly { size: number }[],
): Version {
  return {
    format: 1,
    number,
    status: 'PENDING',
    author: caller.principal,
    message: draft.message,
    description: draft.description,
    tags: draft.tags,
    fileCount: files.length,
    size: files.reduce((sum, { size }) => sum + size, 0),
    source: draft.source,
    approval: { state: 'PENDING', seq: 0 },
    createdAt: now,
  };
}

/** @throws CairnError `INVALID_ARGUMENT` naming the file's field */
export function checkPaths(paths: readonly string[]): void {
  const invalid = (detail: string, field: string) => new CairnError('INVALID_ARGUMENT', detail, field);
  if (paths.length === 0) throw invalid('files must not be empty.', 'files');
  if (paths.length > FILES_MAX) throw invalid(`files must be at most ${FILES_MAX}.`, 'files');
  paths.forEach((path, index) => {
    const parsed = FilePath.safeParse(path);
    if (parsed.success) return;
    const field = `files.${index}.path`;
    throw invalid(`${field} ${parsed.error.issues[0]?.message ?? 'is invalid'}.`, field);
  });
  const clash = findClash(paths);
  if (clash !== undefined)
    throw invalid(`files has "${clash}" twice, or as a file and as a folder.`, 'files');
}

function announced(file: InlineFile): { path: string; size: number; sha256: string } {
  const sha256 = createHash('sha256').update(file.bytes).digest('hex');
  if (file.sha256 !== undefined && file.sha256 !== sha256) {
    throw new CairnError(
      'DIGEST_MISMATCH',
      `"${file.path}" has the SHA-256 ${sha256}, not ${file.sha256}.`,
      'files',
    );
  }
  return { path: file.path, size: file.bytes.length, sha256 };
}

async function putBlob(ports: Ports, model: StoredModel, sha256: string, bytes: Uint8Array): Promise<void> {
  const key = blobKey(model.workspace, model.id, sha256);
  try {
    await ports.blobs.put(key, bytes, { sha256, size: bytes.length, ifAbsent: true });
  } catch (error) {
    // The same bytes are there already: that is what a content address is for.
    if (!(error instanceof BlobError && error.code === 'EXISTS')) throw error;
  }
}
