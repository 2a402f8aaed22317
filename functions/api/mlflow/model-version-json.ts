import * as z from 'zod';
import { CairnError } from '../../../shared/errors.ts';
import { listAliases } from '../../../shared/registry/alias.ts';
import type { StoredModel } from '../../../shared/registry/model.ts';
import { STAGES } from '../../../shared/registry/stage.ts';
import { lastUpdated, type Stage, type Version } from '../../../shared/registry/version.ts';
import type { Call } from './route.ts';
import { tagsJson } from './tags-json.ts';

/** A version's number, which MLflow writes as text. */
export const VersionNumber = z
  .union([z.int(), z.string().regex(/^\d{1,10}$/, 'Model version must be an integer')])
  .transform(Number);

const STATUS = { PENDING: 'PENDING_REGISTRATION', READY: 'READY', FAILED: 'FAILED_REGISTRATION' } as const;

/** Where the door keeps a version's files: a model's id, so that a rename changes nothing. */
export const versionPath = (modelId: string, number: number) => `registry/${modelId}/${number}`;

/** MLflow's ModelVersion. */
export const versionJson = (
  model: Pick<StoredModel, 'id' | 'name'>,
  version: Version,
  aliases: ReadonlyMap<number, readonly string[]>,
) => ({
  name: model.name,
  version: String(version.number),
  creation_timestamp: version.createdAt,
  last_updated_timestamp: lastUpdated(version),
  user_id: version.author,
  current_stage: version.stage ?? 'None',
  description: version.description,
  source:
    version.source.uri ?? version.reference ?? `mlflow-artifacts:/${versionPath(model.id, version.number)}`,
  run_id: version.source.run ?? '',
  run_link: version.source.runLink ?? '',
  status: STATUS[version.status],
  ...(version.failure === undefined ? {} : { status_message: version.failure }),
  ...tagsJson(version.tags),
  ...(aliases.has(version.number) ? { aliases: aliases.get(version.number) } : {}),
});

/** Which aliases name which version. */
export async function aliasesByVersion(call: Call, model: StoredModel): Promise<Map<number, string[]>> {
  const byVersion = new Map<number, string[]>();
  for (let after: string | undefined; ; ) {
    const page = await listAliases(call.ports, call.caller, model, { limit: 1000, after });
    for (const { alias, version } of page.items) {
      if (version !== null) byVersion.set(version, [...(byVersion.get(version) ?? []), alias]);
    }
    if (page.next === undefined) return byVersion;
    after = page.next;
  }
}

/** The stage whatever its case; undefined for `None`. @throws CairnError `INVALID_ARGUMENT` */
export function canonicalStage(text: string): Stage | undefined {
  if (text.toLowerCase() === 'none') return undefined;
  const stage = STAGES.find((candidate) => candidate.toLowerCase() === text.toLowerCase());
  if (stage) return stage;
  throw new CairnError(
    'INVALID_ARGUMENT',
    `Invalid Model Version stage: ${text}. Value must be one of None, ${STAGES.join(', ')}.`,
    'stage',
  );
}
