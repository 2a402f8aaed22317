import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { CairnError, type ErrorCode } from '../errors.ts';
import type { Ports } from '../ports/ports.ts';
import { adoptVersion, type ForeignFile } from '../registry/adopt-version.ts';
import { getAlias } from '../registry/alias.ts';
import { createReference } from '../registry/create-version.ts';
import { findModel, getModel, type ModelRef } from '../registry/model.ts';
import { AliasName, ModelName, type Tags } from '../registry/name.ts';
import { isPrompt } from '../registry/search-fields.ts';
import { latestVersions } from '../registry/stage.ts';
import type { VerifyLater } from '../registry/verify-work.ts';
import { listFiles, type Source, type StoredVersion } from '../registry/version.ts';
import { blobKey } from '../storage/prefix.ts';
import { type ArtifactOwner, artifactOwner, artifactsBelow, PATH_MAX_BYTES } from './artifact.ts';
import { artifactPathOf, parseArtifactPath } from './artifact-uri.ts';
import { lineageOf } from './lineage.ts';
import { findLoggedModel, isLoggedModelId } from './logged-model.ts';

/** What MLflow's client says of a version. */
export interface Registration extends ModelRef {
  readonly source: string;
  readonly run?: string | undefined;
  readonly loggedModel?: string | undefined;
  readonly runLink?: string | undefined;
  readonly description: string;
  readonly tags: Tags;
}

/** The files that a source names, and what is known of where they came from. */
interface Resolved {
  readonly files: readonly ForeignFile[];
  /** Where they are instead, for a copy of a version without bytes. */
  readonly reference?: string | undefined;
  readonly run?: string | undefined;
  readonly loggedModel?: string | undefined;
}

const NO_FILES: Resolved = { files: [] };

/**
 * Makes the next version of a model from what its source names: a run's artifacts, a logged model's, or another version's
 * become a commit without any byte being copied. A source that Cairn does not keep, or that has no files yet, makes a
 * reference: a version without bytes, which cannot be deployed.
 * @param verifyLater where requests are too short to hash what was not hashed on its way in: the version is then PENDING
 * @throws CairnError `INVALID_ARGUMENT` for sources that MLflow's server refuses too: local paths, `..`, another run's
 */
export async function registerVersion(
  ports: Ports,
  caller: Caller,
  registration: Registration,
  verifyLater?: VerifyLater,
): Promise<StoredVersion> {
  authorize(caller, 'contributor', registration);
  await findModel(ports.table, registration);
  const resolved = isPrompt(registration) ? NO_FILES : await resolveKept(ports, caller, registration);
  const run = registration.run ?? resolved.run;
  const loggedModel = registration.loggedModel ?? resolved.loggedModel;
  const paths = resolved.files.map(({ path }) => path);
  const lineage = await lineageOf(ports.table, caller, registration.workspace, run, paths);
  const source: Source = {
    via: 'mlflow',
    uri: registration.source,
    ...(run === undefined ? {} : { run }),
    ...(loggedModel === undefined ? {} : { loggedModel }),
    ...(registration.runLink === undefined ? {} : { runLink: registration.runLink }),
    ...(lineage === undefined ? {} : { lineage }),
  };
  const { description, tags } = registration;
  const draft = { message: messageOf(registration), description, tags, source };
  return resolved.files.length === 0
    ? createReference(ports, caller, registration, draft, resolved.reference ?? registration.source)
    : adoptVersion(ports, caller, registration, draft, resolved.files, verifyLater);
}

const messageOf = ({ source, run }: Registration) =>
  run === undefined ? source : `${source}\n\nRun: ${run}`;

/** A run or logged model of another tracking server is one of the sources that Cairn does not keep. */
async function resolveKept(ports: Ports, caller: Caller, registration: Registration): Promise<Resolved> {
  try {
    return await resolve(ports, caller, registration);
  } catch (error) {
    if (error instanceof CairnError && ELSEWHERE.includes(error.code)) return NO_FILES;
    throw error;
  }
}

const ELSEWHERE: readonly ErrorCode[] = ['RUN_NOT_FOUND', 'LOGGED_MODEL_NOT_FOUND'];

async function resolve(ports: Ports, caller: Caller, registration: Registration): Promise<Resolved> {
  const { source, run } = registration;
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(source)?.[1]?.toLowerCase();
  if (scheme === undefined || scheme === 'file') {
    throw invalidSource(source, 'a local path is not where others can read it');
  }
  if (hasRelativePart(source)) throw invalidSource(source, 'it has relative parts');
  if (scheme === 'models') return resolveModel(ports, caller, registration);
  if (scheme === 'runs') {
    const [, id = '', path = ''] = /^runs:\/+([^/]+)\/?(.*)$/s.exec(source) ?? [];
    if (id !== run) throw invalidSource(source, 'run_id has to be the run that it names');
    return filesOf(ports, caller, await artifactOwner(ports.table, 'run', id), path);
  }
  const artifactPath = artifactPathOf(source);
  const place = artifactPath === undefined ? undefined : parseArtifactPath(artifactPath);
  if (place === undefined || place.kind === 'version') return NO_FILES;
  const wanted = place.kind === 'run' ? run : (registration.loggedModel ?? place.id);
  if (place.id !== wanted) throw invalidSource(source, 'run_id has to be the run that it names');
  return filesOf(ports, caller, await artifactOwner(ports.table, place.kind, place.id), place.path);
}

/** `models:/m-<id>`, or another version: `models:/<name>/<version>`, `models:/<name>@<alias>`, `models:/<name>/latest`. */
async function resolveModel(ports: Ports, caller: Caller, registration: Registration): Promise<Resolved> {
  const { source, workspace } = registration;
  const [, text = ''] = /^models:\/+(.*)$/s.exec(source) ?? [];
  if (isLoggedModelId(text)) {
    const { body: model } = await findLoggedModel(ports.table, text);
    const { files } = await filesOf(
      ports,
      caller,
      { kind: 'logged-model', id: text, workspace: model.workspace },
      '',
    );
    return { files, loggedModel: text, run: model.sourceRun || undefined };
  }
  const { name, number } = await versionNamed(ports, caller, workspace, text, source);
  const { model, version, files } = await listFiles(ports, caller, { workspace, name, number });
  return {
    files: files.map(({ path, size, sha256 }) => ({
      path,
      size,
      sha256,
      key: blobKey(model.workspace, model.id, sha256),
    })),
    reference: version.reference,
    run: version.source.run,
    loggedModel: version.source.loggedModel,
  };
}

async function versionNamed(
  ports: Ports,
  caller: Caller,
  workspace: string,
  text: string,
  source: string,
): Promise<{ name: string; number: number }> {
  const [, name, alias] = /^([^/@]+)@(.+)$/.exec(text) ?? [];
  const requireValid = ({ success }: { success: boolean }) => {
    if (!success) throw invalidSource(source, 'it names no version');
  };
  if (name !== undefined && alias !== undefined) {
    requireValid(ModelName.safeParse(name));
    requireValid(AliasName.safeParse(alias));
    const { version } = await getAlias(ports, caller, { workspace, name, alias });
    return { name, number: version.number };
  }
  const [, model, version] = /^([^/]+)\/([^/]+)$/.exec(text) ?? [];
  if (model === undefined || version === undefined) throw invalidSource(source, 'it names no version');
  requireValid(ModelName.safeParse(model));
  if (/^\d{1,10}$/.test(version)) return { name: model, number: Number(version) };
  if (version.toLowerCase() !== 'latest') throw invalidSource(source, 'it names no version');
  const { id } = await getModel(ports, caller, { workspace, name: model });
  const newest = (await latestVersions(ports.table, id)).at(-1);
  if (!newest) throw new CairnError('VERSION_NOT_FOUND', `"${model}" has no version.`, 'source');
  return { name: model, number: newest.number };
}

async function filesOf(
  ports: Ports,
  caller: Caller,
  owner: ArtifactOwner,
  folder: string,
): Promise<Resolved> {
  authorize(caller, 'viewer', owner);
  const root = folder.replace(/\/+$/, '');
  const isPath = Buffer.byteLength(root) <= PATH_MAX_BYTES;
  const artifacts = isPath ? await artifactsBelow(ports.table, owner, root) : [];
  const files = artifacts.map(({ path, size, sha256, key }) => ({
    path:
      root === ''
        ? path
        : path === root
          ? path.slice(path.lastIndexOf('/') + 1)
          : path.slice(root.length + 1),
    size,
    sha256,
    key,
  }));
  return owner.kind === 'run' ? { files, run: owner.id } : { files, loggedModel: owner.id };
}

/** `..` in any form that a server behind the source could take for one. */
function hasRelativePart(source: string): boolean {
  let text = source;
  for (let round = 0; round < 10; round++) {
    if (/(^|[/\\?#:;])\.\.([/\\?#;]|$)/.test(text)) return true;
    let plain: string;
    try {
      plain = decodeURIComponent(text);
    } catch {
      return false;
    }
    if (plain === text) return false;
    text = plain;
  }
  return true;
}

const invalidSource = (source: string, why: string) =>
  new CairnError('INVALID_ARGUMENT', `Invalid model version source: '${source}': ${why}.`, 'source');
