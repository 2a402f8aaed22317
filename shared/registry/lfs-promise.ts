import pMap from 'p-map';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import { ConditionFailed, type Table } from '../ports/table.ts';
import { promiseKey, promisesPartition } from './keys.ts';
import { readRepository } from './repository.ts';
import { mayBeGone, relianceOf, sweepsEnded } from './sweep.ts';

type PromisePorts = Pick<Ports, 'table' | 'clock'>;

interface Owner {
  readonly id: string;
}

/** Seconds in which the push has to come. */
const LIFETIME = 24 * 3600;
const PARALLEL = 16;

/**
 * Keeps objects that are there, and that somebody was about to send, from garbage collection for half a day at least.
 * Whether they are there has to be looked at again after it.
 */
export async function promiseObjects(
  ports: PromisePorts,
  model: Owner,
  sha256: readonly string[],
): Promise<void> {
  if (sha256.length === 0) return;
  await pMap(sha256, (digest) => promise(ports, model, digest), { concurrency: PARALLEL });
  // A sweep that was announced before may not have seen the promise.
  const { body } = await readRepository(ports.table, model.id);
  if (await mayBeGone(ports, model, body, relianceOf(body), sha256)) await sweepsEnded(ports, model);
}

async function promise({ table, clock }: PromisePorts, model: Owner, sha256: string): Promise<void> {
  const key = promiseKey(model.id, sha256);
  const now = Math.floor(clock.now() / 1000);
  const before = await table.get(key);
  // One that is good for most of its time is not written again.
  if ((before?.expiresAt ?? 0) > now + LIFETIME / 2) return;
  const put = { ...key, body: { format: 1 }, expiresAt: now + LIFETIME };
  try {
    await table.transact([{ put, if: before ? { rev: before.rev } : 'absent' }]);
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error;
    // Somebody else has just made the same promise, or one that had expired was removed.
    await promise({ table, clock }, model, sha256);
  }
}

/** The SHA-256 of the objects that were promised and have not expired. */
export async function promisedObjects(
  { table, clock }: { table: Table; clock: PromisePorts['clock'] },
  model: Owner,
): Promise<string[]> {
  const items = await Array.fromAsync(itemsOf(table, promisesPartition(model.id)));
  return items.filter(({ expiresAt = 0 }) => expiresAt * 1000 > clock.now()).map(({ sk }) => sk);
}
