import * as z from 'zod';
import { CairnError } from '../../../shared/errors.ts';
import type { ListPage } from '../../../shared/ports/page.ts';
import { findModelById } from '../../../shared/registry/model.ts';
import { listFiles } from '../../../shared/registry/version.ts';
import { freeChunk } from '../../../shared/storage/free-chunk.ts';
import { blobKey } from '../../../shared/storage/prefix.ts';
import {
  type ArtifactOwner,
  artifactOwner,
  deleteArtifacts,
  type Entry,
  getArtifact,
  listArtifacts,
  putArtifact,
} from '../../../shared/tracking/artifact.ts';
import {
  abortArtifactUpload,
  completeArtifactUpload,
  createArtifactUpload,
} from '../../../shared/tracking/artifact-upload.ts';
import {
  type ArtifactPlace,
  parseArtifactPath,
  runArtifactUri,
} from '../../../shared/tracking/artifact-uri.ts';
import { getRun } from '../../../shared/tracking/run.ts';
import { Int, list, object, Text } from './input.ts';
import { type Call, type Route, route } from './route.ts';

/** Seconds that a download's URL is good for. */
const URL_LIFETIME = 3600;
const ENTRIES_PER_PAGE = 1000;

const UploadId = z.string().max(100);
const SentPart = object({ part_number: Int, etag: Text });
const Path = object({ path: Text });

/** The artifact service that `mlflow-artifacts:` URIs are resolved to, and the lists of it. */
export const artifactRoutes: readonly Route[] = [
  route(
    'GET',
    'mlflow-artifacts/artifacts',
    object({ path: z.string().default('') }),
    async ({ path }, call) => {
      const files: object[] = [];
      for (let after: string | undefined; ; ) {
        const page = await entriesAt(call, placeOf(path), after);
        for (const entry of page.items) files.push(entryJson({ ...entry, path: basename(entry.path) }));
        if (page.next === undefined) return files.length === 0 ? {} : { files };
        after = page.next;
      }
    },
  ),

  // The bytes come from the store itself: a file's door here, S3 on AWS.
  route('GET', 'mlflow-artifacts/artifacts/*path', Path, async ({ path }, call) => {
    const { url } = await download(call, path);
    return new Response(null, { status: 302, headers: { location: url, 'cache-control': 'no-store' } });
  }),

  route(
    'PUT',
    'mlflow-artifacts/artifacts/*path',
    Path,
    async ({ path }, call) => {
      const { owner, path: file } = await writable(call, path);
      await putArtifact(call.ports, call.caller, owner, file, bytesOf(call), {
        size: announcedSize(call.request),
        release: freeChunk,
      });
      return {};
    },
    { bytes: true },
  ),

  route('DELETE', 'mlflow-artifacts/artifacts/*path', Path, async ({ path }, call) => {
    const { owner, path: file } = await writable(call, path);
    await deleteArtifacts(call.ports, call.caller, owner, file);
    return {};
  }),

  route('GET', 'mlflow-artifacts/presigned/*path', Path, async ({ path }, call) => {
    const { url, size } = await download(call, path);
    return { url, headers: {}, file_size: size };
  }),

  route(
    'POST',
    'mlflow-artifacts/mpu/create/*folder',
    object({ folder: Text, path: Text, num_parts: Int }),
    async ({ folder: whole, path: file, num_parts }, call) => {
      const { owner, path: folder } = await writable(call, whole);
      // The client tells the whole path that the file has with it.
      const name = file.slice(Math.max(file.lastIndexOf('/'), file.lastIndexOf('\\')) + 1);
      const path = folder === '' ? name : `${folder}/${name}`;
      const { id, urls } = await createArtifactUpload(call.ports, call.caller, owner, path, num_parts);
      return {
        upload_id: id,
        credentials: urls.map((url, index) => ({ url, part_number: index + 1, headers: {} })),
      };
    },
  ),

  route(
    'POST',
    'mlflow-artifacts/mpu/complete/*folder',
    object({ upload_id: UploadId, parts: list(SentPart).optional() }),
    async ({ upload_id, parts = [] }, call) => {
      const sent = parts.map(({ part_number, etag }) => ({ number: part_number, etag }));
      await completeArtifactUpload(call.ports, call.caller, upload_id, sent);
      return {};
    },
  ),

  route(
    'POST',
    'mlflow-artifacts/mpu/abort/*folder',
    object({ upload_id: UploadId }),
    async ({ upload_id }, call) => {
      await abortArtifactUpload(call.ports, call.caller, upload_id);
      return {};
    },
  ),

  route(
    'GET',
    'artifacts/list',
    object({
      run_id: Text.optional(),
      run_uuid: Text.optional(),
      path: z.string().default(''),
      page_token: Text.optional(),
    }),
    async ({ run_id, run_uuid, path, page_token }, call) => {
      const { run } = await getRun(call.ports, call.caller, run_id || run_uuid || '');
      if (run.artifactLocation !== undefined)
        throw new CairnError(
          'INVALID_ARGUMENT',
          `The run's artifacts are at ${run.artifactLocation}.`,
          'run_id',
        );
      const owner: ArtifactOwner = { kind: 'run', id: run.id, workspace: run.workspace };
      return { root_uri: runArtifactUri(run), ...(await listing(call, owner, path, page_token)) };
    },
  ),
];

/** A page of a folder with paths from the owner's root. */
export async function listing(
  call: Call,
  owner: ArtifactOwner,
  folder: string,
  pageToken: string | undefined,
): Promise<object> {
  const page = await listArtifacts(call.ports, call.caller, owner, folder.replace(/\/+$/, ''), {
    after: pageToken === undefined ? undefined : Buffer.from(pageToken, 'base64url').toString(),
    limit: ENTRIES_PER_PAGE,
  });
  return {
    ...(page.items.length === 0 ? {} : { files: page.items.map(entryJson) }),
    ...(page.next === undefined ? {} : { next_page_token: Buffer.from(page.next).toString('base64url') }),
  };
}

const entryJson = (entry: Entry) =>
  entry.isFolder
    ? { path: entry.path, is_dir: true }
    : { path: entry.path, is_dir: false, file_size: entry.size };

const basename = (path: string) => path.slice(path.lastIndexOf('/') + 1);

/** @throws CairnError `INVALID_ARGUMENT` for what is in neither a run, a logged model nor a version */
export function placeOf(path: string): ArtifactPlace {
  const place = parseArtifactPath(path);
  if (place) return place;
  throw new CairnError(
    'INVALID_ARGUMENT',
    `"${path}" is not in the artifacts of a run, a logged model or a registered version.`,
    'path',
  );
}

async function entriesAt(
  call: Call,
  place: ArtifactPlace,
  after: string | undefined,
): Promise<ListPage<Entry>> {
  if (place.kind === 'version') return { items: await versionEntries(call, place) };
  const owner = await artifactOwner(call.ports.table, place.kind, place.id);
  return listArtifacts(call.ports, call.caller, owner, place.path, { after, limit: ENTRIES_PER_PAGE });
}

type VersionPlace = ArtifactPlace & { kind: 'version' };

async function versionFiles(call: Call, { model: id, number }: VersionPlace) {
  const model = await findModelById(call.ports.table, id);
  const { files } = await listFiles(call.ports, call.caller, { ...model, number });
  return { model, files };
}

async function versionEntries(call: Call, place: VersionPlace): Promise<Entry[]> {
  const { files } = await versionFiles(call, place);
  const prefix = place.path === '' ? '' : `${place.path}/`;
  const entries = new Map<string, Entry>();
  for (const { path, size } of files) {
    if (!path.startsWith(prefix)) continue;
    const slash = path.indexOf('/', prefix.length);
    if (slash < 0) entries.set(path, { path, isFolder: false, size });
    else entries.set(path.slice(0, slash), { path: path.slice(0, slash), isFolder: true });
  }
  return [...entries.values()];
}

/** A signed URL of the file's bytes, and their number. */
async function download(call: Call, whole: string): Promise<{ url: string; size: number }> {
  const place = placeOf(whole);
  const { key, size } =
    place.kind === 'version' ? await versionFile(call, place) : await artifactFile(call, place);
  const url = await call.ports.blobs.presignGet(key, {
    expiresIn: URL_LIFETIME,
    filename: basename(place.path),
    contentType: 'application/octet-stream',
  });
  return { url, size };
}

async function artifactFile(call: Call, place: Exclude<ArtifactPlace, VersionPlace>) {
  const owner = await artifactOwner(call.ports.table, place.kind, place.id);
  return getArtifact(call.ports, call.caller, owner, place.path);
}

async function versionFile(call: Call, place: VersionPlace): Promise<{ key: string; size: number }> {
  const { model, files } = await versionFiles(call, place);
  const file = files.find(({ path }) => path === place.path);
  if (!file)
    throw new CairnError('FILE_NOT_FOUND', `Version ${place.number} has no file "${place.path}".`, 'path');
  return { key: blobKey(model.workspace, model.id, file.sha256), size: file.size };
}

/** Where a file may be written or deleted: never in a version. @throws CairnError `VERSION_IMMUTABLE` */
export async function writable(call: Call, whole: string): Promise<{ owner: ArtifactOwner; path: string }> {
  const place = placeOf(whole);
  if (place.kind === 'version')
    throw new CairnError(
      'VERSION_IMMUTABLE',
      `Nothing changes the files of version ${place.number}.`,
      'path',
    );
  return { owner: await artifactOwner(call.ports.table, place.kind, place.id), path: place.path };
}

/** The request's bytes as they come, never all in memory. */
export function bytesOf({ incoming, request }: Call): AsyncIterable<Uint8Array> {
  if (incoming) return incoming.iterator({ destroyOnReturn: false });
  return request.body ?? ReadableStream.from([]);
}

function announcedSize(request: Request): number | undefined {
  const length = request.headers.get('content-length');
  return length === null ? undefined : Number(length);
}
