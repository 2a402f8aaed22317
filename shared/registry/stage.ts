import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import type { Op, Table } from '../ports/table.ts';
import { modelChain, STAGE_PREFIX, stageKey, stagePrefix, VERSION_PREFIX, versionKey } from './keys.ts';
import { findModelId } from './model.ts';
import {
  changeOfVersion,
  findVersion,
  type Stage,
  type StoredVersion,
  storedVersion,
  type Version,
  type VersionRef,
} from './version.ts';

export const STAGES: readonly Stage[] = ['Staging', 'Production', 'Archived'];

/** Versions that one transaction can archive: each is three operations. */
const ARCHIVED_AT_ONCE = 30;

/** Puts a version into one of MLflow's stages, or into none; `archive` moves those that are in the stage to Archived. */
export async function moveToStage(
  ports: Ports,
  caller: Caller,
  ref: VersionRef,
  stage: Stage | undefined,
  { archive }: { archive: boolean },
): Promise<StoredVersion> {
  authorize(caller, 'deployer', ref);
  const id = await findModelId(ports.table, ref);
  const others = archive && stage ? await inStage(ports.table, id, stage) : [];
  for (const number of others.filter((other) => other !== ref.number).slice(ARCHIVED_AT_ONCE)) {
    await moveToStage(ports, caller, { ...ref, number }, 'Archived', { archive: false });
  }
  return exclusively(modelChain(id), async () => {
    const { rev, ...before } = await findVersion(ports.table, id, ref.number);
    const now = ports.clock.now();
    const displaced = archive && stage ? await inStage(ports.table, id, stage) : [];
    const ops: Op[] = [];
    for (const number of displaced.filter((other) => other !== ref.number).slice(0, ARCHIVED_AT_ONCE)) {
      const { rev: otherRev, ...other } = await findVersion(ports.table, id, number);
      ops.push(...restage(id, other, otherRev, 'Archived', now).ops);
    }
    const { after, ops: own } = restage(id, before, rev, stage, now);
    await commit(
      ports,
      caller,
      {
        ...changeOfVersion(id, ref, 'version.staged'),
        before: { stage: before.stage ?? null },
        after: { stage: stage ?? null },
      },
      [...own, ...ops],
    );
    return { ...after, rev: rev + 1 };
  });
}

function restage(
  id: string,
  { stage: from, ...version }: Version,
  rev: number,
  to: Stage | undefined,
  now: number,
): { after: Version; ops: Op[] } {
  const after: Version = { ...version, ...(to === undefined ? {} : { stage: to }), updatedAt: now };
  const ops: Op[] = [{ put: { ...versionKey(id, version.number), body: after }, if: { rev } }];
  if (from === to) return { after, ops };
  if (from) ops.push({ delete: stageKey(id, from, version.number), if: 'any' });
  if (to) ops.push({ put: { ...stageKey(id, to, version.number), body: {} }, if: 'absent' });
  return { after, ops };
}

async function inStage(table: Table, id: string, stage: Stage): Promise<number[]> {
  const items = await Array.fromAsync(itemsOf(table, modelChain(id), stagePrefix(stage)));
  return items.map(({ sk }) => Number(sk.slice(stagePrefix(stage).length)));
}

/** The newest version of each stage, by number: a few reads, however many versions there are. */
export async function latestVersions(table: Table, id: string): Promise<StoredVersion[]> {
  const anyStaged =
    (await table.query({ pk: modelChain(id), prefix: STAGE_PREFIX, limit: 1 })).items.length > 0;
  const staged = anyStaged ? await Promise.all(STAGES.map((stage) => newestInStage(table, id, stage))) : [];
  const plain = await newestWithoutStage(table, id);
  return [plain, ...staged].filter((version) => version !== undefined).sort((a, b) => a.number - b.number);
}

async function newestInStage(table: Table, id: string, stage: Stage): Promise<StoredVersion | undefined> {
  const prefix = stagePrefix(stage);
  const [newest] = (await table.query({ pk: modelChain(id), prefix, reverse: true, limit: 1 })).items;
  return newest && findVersion(table, id, Number(newest.sk.slice(prefix.length)));
}

async function newestWithoutStage(table: Table, id: string): Promise<StoredVersion | undefined> {
  for (let after: string | undefined, limit = 1; ; limit = 50) {
    const page = await table.query({
      pk: modelChain(id),
      prefix: VERSION_PREFIX,
      reverse: true,
      limit,
      ...(after === undefined ? {} : { after }),
    });
    for (const item of page.items) {
      const version = storedVersion(item);
      if (version.stage === undefined && version.deletedAt === undefined) return version;
    }
    after = page.items.at(-1)?.sk;
    if (!page.more) return undefined;
  }
}
