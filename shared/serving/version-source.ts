import { CairnError } from '../errors.ts';
import type { RevisionFile } from '../ports/serving-platform.ts';
import type { Op } from '../ports/table.ts';
import type { EndpointSpec } from './endpoint-spec.ts';
import { inFolder, runtimeOf } from './runtime.ts';

/** What serving has to know of the registry. */
export interface VersionSource {
  /** Why a model that needs Python cannot be served here; undefined when it can. */
  readonly noPython?: string | undefined;
  /** @throws CairnError `MODEL_NOT_FOUND` */
  findModel(workspace: string, name: string): Promise<DeployableModel>;
  /** @throws CairnError `VERSION_NOT_FOUND` */
  findVersion(modelId: string, version: number): Promise<DeployableVersion>;
  /** All files with where their bytes are; none for a reference. */
  listFiles(workspace: string, modelId: string, version: number): Promise<RevisionFile[]>;
  /** The version that the alias names now. */
  resolveAlias(modelId: string, alias: string): Promise<number | undefined>;
}

export interface DeployableModel {
  readonly id: string;
  readonly name: string;
  /** Of this and the model's deletion only one can happen: part of the transaction by which an endpoint takes the model. */
  readonly hold?: Op | undefined;
}

export interface DeployableVersion {
  readonly status: 'PENDING' | 'READY' | 'FAILED';
  readonly approval: 'PENDING' | 'APPROVED' | 'REJECTED';
  /** The URI of a version without bytes. */
  readonly reference?: string | undefined;
  /** Holds as long as nobody deleted the version meanwhile: becomes part of the transaction that makes the revision. */
  readonly check?: Op | undefined;
}

/** A version that may be deployed now. */
export interface Target {
  readonly modelId: string;
  readonly model: string;
  readonly version: number;
  readonly check?: Op | undefined;
}

/**
 * The version that the spec means, if it may be deployed.
 * @throws CairnError `ALIAS_NOT_FOUND`, `VERSION_NOT_FOUND`, `VERSION_NOT_READY`, `VERSION_WITHOUT_BYTES`,
 * `VERSION_NOT_APPROVED`, `NOT_DEPLOYABLE`
 */
export async function resolveTarget(
  versions: VersionSource,
  workspace: string,
  model: { id: string; name: string },
  spec: Pick<EndpointSpec, 'target' | 'requireApproval'>,
): Promise<Target> {
  const field = 'alias' in spec.target ? 'target.alias' : 'target.version';
  const version = await versionOf(versions, model, spec.target);
  const found = await versions.findVersion(model.id, version);
  const name = `${model.name}@${version}`;
  if (found.status !== 'READY')
    throw new CairnError('VERSION_NOT_READY', `${name} is ${found.status}.`, field);
  if (found.reference !== undefined) {
    throw new CairnError('VERSION_WITHOUT_BYTES', `${name} only refers to ${found.reference}.`, field);
  }
  if (spec.requireApproval && found.approval !== 'APPROVED') {
    throw new CairnError(
      'VERSION_NOT_APPROVED',
      `${name} is ${found.approval}; the endpoint takes approved versions only.`,
      field,
    );
  }
  const files = await versions.listFiles(workspace, model.id, version);
  const why = whyNot(files, versions.noPython);
  if (why !== undefined) throw new CairnError('NOT_DEPLOYABLE', `${name} ${why}.`, field);
  return { modelId: model.id, model: model.name, version, check: found.check };
}

/** Why nothing here can serve these files; undefined when something can. */
function whyNot(files: readonly RevisionFile[], noPython: string | undefined): string | undefined {
  const runtime = runtimeOf(files);
  if (runtime?.kind === 'onnx') return undefined;
  if (!runtime) {
    return 'has no ONNX file and is no MLflow model; a version with a .onnx or an MLmodel file can be deployed';
  }
  if (noPython !== undefined) {
    return `is an MLflow model without an ONNX file, which needs the Python runtime; ${noPython}`;
  }
  const requirements = inFolder(runtime.folder, 'requirements.txt');
  return files.some(({ path }) => path === requirements)
    ? undefined
    : `is an MLflow model without ${requirements}, which says what Python packages it needs`;
}

/** The version's number that the spec means now, deployable or not. @throws CairnError `ALIAS_NOT_FOUND` */
export async function versionOf(
  versions: VersionSource,
  model: { id: string; name: string },
  target: EndpointSpec['target'],
): Promise<number> {
  if ('version' in target) return target.version;
  const version = await versions.resolveAlias(model.id, target.alias);
  if (version !== undefined) return version;
  throw new CairnError('ALIAS_NOT_FOUND', `"${model.name}" has no alias "${target.alias}".`, 'target.alias');
}
