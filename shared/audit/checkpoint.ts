import canonicalize from 'canonicalize';
import type { Ports } from '../ports/ports.ts';
import type { Key } from '../ports/table.ts';
import { readAll } from '../storage/read-all.ts';
import { chainsOf } from './chains.ts';
import { type ChainHead, headKey } from './keys.ts';

/** Where all chains of a workspace ended at one time, signed: what stood before cannot be rewritten unnoticed. */
export interface Checkpoint {
  readonly format: 1;
  readonly workspace: string;
  readonly number: number;
  readonly at: number;
  readonly heads: Readonly<Record<string, ChainHead>>;
}

interface SignedCheckpoint {
  readonly checkpoint: Checkpoint;
  readonly keyId: string;
  /** Ed25519 over the RFC 8785 canonical JSON of the checkpoint, base64. */
  readonly signature: string;
}

interface Latest {
  readonly number: number;
  /** Where the signed checkpoint is in the blob store: it grows with the number of chains, so no item can hold it. */
  readonly blob: string;
}

const latestKey = (workspace: string): Key => ({ pk: `checkpoints/${workspace}`, sk: 'latest' });
const checkpointBlob = (workspace: string, number: number) =>
  `workspaces/${workspace}/audit/checkpoints/${number}.json`;

/** Signs where the workspace's chains end now, unless nothing has happened since the last time. */
export async function writeCheckpoint(
  ports: Pick<Ports, 'table' | 'blobs' | 'keys' | 'clock'>,
  workspace: string,
): Promise<boolean> {
  const item = await ports.table.get(latestKey(workspace));
  const last = item ? await readCheckpoint(ports, (item.body as Latest).blob) : undefined;
  const heads = await headsOf(ports, workspace);
  if (Object.keys(heads).length === 0 || canonicalize(heads) === canonicalize(last?.checkpoint.heads))
    return false;
  const number = ((item?.body as Latest | undefined)?.number ?? 0) + 1;
  const checkpoint: Checkpoint = { format: 1, workspace, number, at: ports.clock.now(), heads };
  const { keyId, signature } = await ports.keys.sign(message(checkpoint));
  const signed: SignedCheckpoint = {
    checkpoint,
    keyId,
    signature: Buffer.from(signature).toString('base64'),
  };
  const blob = checkpointBlob(workspace, number);
  await ports.blobs.put(blob, Buffer.from(JSON.stringify(signed)));
  await ports.table.transact([
    {
      put: { ...latestKey(workspace), body: { number, blob } satisfies Latest },
      if: item ? { rev: item.rev } : 'absent',
    },
  ]);
  return true;
}

/** The newest checkpoint whose signature holds, or why there is none to trust; neither when none was made yet. */
export async function verifiedCheckpoint(
  ports: Pick<Ports, 'table' | 'blobs' | 'keys'>,
  workspace: string,
): Promise<{ checkpoint?: Checkpoint; problem?: string }> {
  const latest = (await ports.table.get(latestKey(workspace)))?.body as Latest | undefined;
  if (!latest) return {};
  const signed = await readCheckpoint(ports, latest.blob);
  if (!signed) return { problem: 'The signed checkpoint is gone.' };
  const { checkpoint, keyId, signature } = signed;
  const holds =
    checkpoint.workspace === workspace &&
    (await ports.keys.verify(keyId, message(checkpoint), Buffer.from(signature, 'base64')));
  return holds ? { checkpoint } : { problem: 'The signature of the checkpoint does not hold.' };
}

const message = (checkpoint: Checkpoint) => Buffer.from(canonicalize(checkpoint) ?? '');

async function headsOf(ports: Pick<Ports, 'table'>, workspace: string): Promise<Record<string, ChainHead>> {
  const chains = await Array.fromAsync(chainsOf(ports.table, workspace));
  const heads: Record<string, ChainHead> = {};
  for (let at = 0; at < chains.length; at += 100) {
    const names = chains.slice(at, at + 100);
    const items = await ports.table.getMany(names.map(headKey));
    for (const [index, item] of items.entries()) {
      const name = names[index];
      if (item && name !== undefined) heads[name] = item.body as ChainHead;
    }
  }
  return heads;
}

async function readCheckpoint(
  ports: Pick<Ports, 'blobs'>,
  key: string,
): Promise<SignedCheckpoint | undefined> {
  if (!(await ports.blobs.stat(key))) return undefined;
  return JSON.parse((await readAll(ports.blobs, key)).toString()) as SignedCheckpoint;
}
