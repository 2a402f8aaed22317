import pMap from 'p-map';
import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import type { Item, NewItem, Op } from '../ports/table.ts';
import { admit, type Checked } from '../storage/admit.ts';
import { GRACE_MS } from '../storage/garbage.ts';
import { blobKey, lfsStagingKey } from '../storage/prefix.ts';
import { checkSize } from '../storage/verify.ts';
import { lfsVerificationKey, lfsVerificationsPartition } from './keys.ts';
import { findModel, type StoredModel } from './model.ts';
import { LOST_AFTER, type VerifyLater, type VerifyWork } from './verify-work.ts';

/** An object of Git LFS that was sent and is still being hashed, or was found to be other bytes than its name says. */
interface LfsVerification {
  readonly format: 1;
  readonly oid: string;
  readonly size: number;
  readonly upload: string;
  readonly state: 'VERIFYING' | 'REFUSED';
  readonly checked?: Checked;
  /** When it was ordered, or came further; milliseconds since the epoch. */
  readonly at: number;
}

/** Reads of the table under way at once. */
const PARALLEL = 16;

interface Owner {
  readonly id: string;
}

/** What became of an object that the model does not have: VERIFYING as long as one of its uploads may turn out to be right. */
export async function lfsState(
  ports: Pick<Ports, 'table' | 'clock'>,
  model: Owner,
  oid: string,
): Promise<LfsVerification | undefined> {
  const found: LfsVerification[] = [];
  for await (const item of itemsOf(ports.table, lfsVerificationsPartition(model.id), `${oid}/`)) {
    if ((item.expiresAt ?? 0) * 1000 > ports.clock.now()) found.push(item.body as LfsVerification);
  }
  return found.find(({ state }) => state === 'VERIFYING') ?? found.at(-1);
}

/** Orders the verification of an object that waits at its staging key. May be ordered again. */
export async function verifyLfsLater(
  ports: Pick<Ports, 'table' | 'clock'>,
  model: StoredModel,
  { oid, size }: { readonly oid: string; readonly size: number },
  upload: string,
  later: VerifyLater,
): Promise<void> {
  const now = ports.clock.now();
  const key = lfsVerificationKey(model.id, oid, upload);
  await exclusively(key.pk, async () => {
    const item = await ports.table.get(key);
    const known = item?.body as LfsVerification | undefined;
    if (item && known?.state === 'VERIFYING' && (item.expiresAt ?? 0) * 1000 > now) return;
    const body: LfsVerification = { format: 1, oid, size, upload, state: 'VERIFYING', at: now };
    await ports.table.transact([put(model, body, item)]);
  });
  await later({ workspace: model.workspace, name: model.name, upload, lfs: oid });
}

/** The objects of a model that are still to be hashed. */
export async function* lfsVerifying(
  table: Ports['table'],
  modelId: string,
): AsyncGenerator<{ readonly oid: string; readonly upload: string }> {
  for await (const { body } of itemsOf(table, lfsVerificationsPartition(modelId))) {
    const verification = body as LfsVerification;
    if (verification.state === 'VERIFYING') yield verification;
  }
}

/** Orders again what was ordered long ago and came no further. */
export async function reorderIfLost(
  ports: Pick<Ports, 'table' | 'clock'>,
  model: StoredModel,
  { oid, upload, at }: LfsVerification,
  later: VerifyLater,
): Promise<void> {
  if (ports.clock.now() - at < LOST_AFTER) return;
  await later({ workspace: model.workspace, name: model.name, upload, lfs: oid });
}

/**
 * Brings an object whose verification was ordered to its content address, or removes it if it is not what its name says.
 * May be called again after an interruption.
 * @returns whether nothing is left to be done; else `deadline` (milliseconds since the epoch) has passed, and the next
 * call goes on where this one stopped
 */
export async function verifyLfsObject(
  ports: Ports,
  caller: Caller,
  { lfs: oid = '', upload, ...ref }: VerifyWork,
  { deadline }: { deadline: number },
): Promise<boolean> {
  authorize(caller, 'contributor', ref);
  const model = await findModel(ports.table, ref);
  const at = lfsVerificationKey(model.id, oid, upload);
  const item = await ports.table.get(at);
  if (!item || (item.body as LfsVerification).state === 'REFUSED') return true;
  const record = item.body as LfsVerification;
  const staged = lfsStagingKey(model.workspace, model.id, upload);
  const address = blobKey(model.workspace, model.id, oid);
  const done = async (op: Op): Promise<true> => {
    // Who asks meanwhile is told that it is verified still, and asks again.
    await ports.blobs.delete(staged);
    await ports.table.transact([op]);
    return true;
  };
  if (await ports.blobs.stat(address)) return done({ delete: at, if: 'any' });
  const stat = await ports.blobs.stat(staged);
  if (!stat) return done({ delete: at, if: 'any' });
  try {
    checkSize({ path: oid, size: record.size, sha256: oid }, stat.size);
    const runs = {
      isOver: () => ports.clock.now() >= deadline,
      before: record.checked,
      keep: (checked: Checked) =>
        ports.table.transact([put(model, { ...record, checked, at: ports.clock.now() }, item)]),
    };
    const found = await admit(
      ports.blobs,
      { key: staged, stat, path: oid, sha256: oid },
      () => address,
      runs,
    );
    return found === undefined ? false : done({ delete: at, if: 'any' });
  } catch (error) {
    if (!(error instanceof CairnError && WRONG.has(error.code))) throw error;
    await done(put(model, { ...withoutChecked(record), state: 'REFUSED', at: ports.clock.now() }, item));
    throw error;
  }
}

const WRONG = new Set<CairnError['code']>(['DIGEST_MISMATCH', 'SIZE_MISMATCH']);

function withoutChecked({ checked: _, ...record }: LfsVerification): LfsVerification {
  return record;
}

/** What waits at a staging key goes after the grace period: then nothing is verified any more. */
function put(model: Owner, body: LfsVerification, before: Item | undefined): Op {
  const expiresAt = Math.floor((body.at + GRACE_MS) / 1000);
  const item: NewItem = { ...lfsVerificationKey(model.id, body.oid, body.upload), body, expiresAt };
  return { put: item, if: before ? { rev: before.rev } : 'absent' };
}

/** Which of some objects are still being verified, and which are refused: by what they are called where they are wanted. */
export async function lfsStates(
  ports: Pick<Ports, 'table' | 'clock'>,
  model: Owner,
  wanted: readonly { readonly path: string; readonly sha256: string }[],
): Promise<{ verifying: readonly string[]; refused: readonly string[] }> {
  const verifying: string[] = [];
  const refused: string[] = [];
  await pMap(
    wanted,
    async ({ path, sha256 }) => {
      const state = (await lfsState(ports, model, sha256))?.state;
      if (state === 'VERIFYING') verifying.push(path);
      if (state === 'REFUSED') refused.push(path);
    },
    { concurrency: PARALLEL },
  );
  return { verifying, refused };
}
