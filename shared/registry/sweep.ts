import { setTimeout } from 'node:timers/promises';
import { exclusively } from '../audit/commit.ts';
import { BlobError } from '../ports/blob-store.ts';
import type { Ports } from '../ports/ports.ts';
import type { Op } from '../ports/table.ts';
import { modelChain, repositoryKey, sweepKey } from './keys.ts';
import { type Repository, readRepository, type Sweeps } from './repository.ts';

type SweepPorts = Pick<Ports, 'table' | 'clock'>;

interface Owner {
  readonly id: string;
}

interface SweepBody {
  readonly format: 1;
  /** What may be removed. */
  readonly sha256: readonly string[];
}

/** Digests that one record names: they fit in an item. */
const RECORD_MAX = 1000;
/** Digests that are announced together: their records fit in a transaction. */
export const SWEEP_MAX = 50 * RECORD_MAX;
const RECORDS_READ = 50;
/** Who announced a sweep removes nothing after this. */
export const SWEEP_MS = 30_000;
/** Who announced it is gone after this, and his last request over. */
const STALE_MS = 60_000;
/** Records of sweeps are kept for requests that began before them. */
const KEPT_SECONDS = 24 * 3600;
const WAIT_MS = 50;

const NONE: Sweeps = { last: 0, ended: 0, at: 0 };

/**
 * Says which bytes are about to go: on the root, so that whoever makes a version or an upload finds out when he commits it.
 * What was committed before is to be read again after this, and left alone.
 * @param sha256 at most {@link SWEEP_MAX}; each thousand are a sweep of their own, and all of them end together
 * @returns the last sweep's number; undefined while another one is under way
 */
export async function announceSweep(
  ports: SweepPorts,
  model: Owner,
  sha256: readonly string[],
): Promise<number | undefined> {
  return exclusively(modelChain(model.id), async () => {
    const { body, rev } = await readRepository(ports.table, model.id);
    const sweeps = body.sweeps ?? NONE;
    const now = ports.clock.now();
    if (isUnderWay(sweeps, now)) return undefined;
    const records = chunks(sha256, RECORD_MAX);
    const last = sweeps.last + records.length;
    const after: Repository = { ...body, sweeps: { last, ended: sweeps.last, at: now } };
    const expiresAt = Math.floor(now / 1000) + KEPT_SECONDS;
    await ports.table.transact([
      { put: { ...repositoryKey(model.id), body: after }, if: { rev } },
      ...records.map((digests, index): Op => {
        const body: SweepBody = { format: 1, sha256: digests };
        return { put: { ...sweepKey(model.id, sweeps.last + 1 + index), body, expiresAt }, if: 'absent' };
      }),
    ]);
    return last;
  });
}

function chunks<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
    all.slice(index * size, (index + 1) * size),
  );
}

/** Says that a sweep, and those before it, remove nothing any more. */
export async function endSweep(ports: SweepPorts, model: Owner, number: number): Promise<void> {
  await exclusively(modelChain(model.id), async () => {
    const { body, rev } = await readRepository(ports.table, model.id);
    if (!body.sweeps || body.sweeps.last !== number || body.sweeps.ended === number) return;
    const after: Repository = { ...body, sweeps: { ...body.sweeps, ended: number } };
    await ports.table.transact([{ put: { ...repositoryKey(model.id), body: after }, if: { rev } }]);
  });
}

const isUnderWay = ({ last, ended, at }: Sweeps, now: number) => ended < last && now < at + STALE_MS;

/** Bytes that a request counts on may have been removed since it looked. */
class Swept extends Error {}

/** How many sweeps were over when a request began to look which bytes are there. */
export type Reliance = number;

/** To be called before looking which bytes are there. */
export const relianceOf = ({ sweeps }: Repository): Reliance => sweeps?.ended ?? 0;

/**
 * Does work that looks which bytes are there and commits what refers to them, with {@link requireKept} before it does;
 * again from the start when some of them may have gone in between.
 */
export async function relyingOnBytes<T>(
  ports: SweepPorts,
  model: Owner,
  work: (since: Reliance) => Promise<T>,
): Promise<T> {
  for (;;) {
    const since = relianceOf((await readRepository(ports.table, model.id)).body);
    try {
      return await work(since);
    } catch (error) {
      const missing = error instanceof BlobError && error.code === 'NOT_FOUND';
      if (!(error instanceof Swept) && !(missing && (await sweptSince(ports, model, since)))) throw error;
      await sweepsEnded(ports, model);
    }
  }
}

async function sweptSince({ table }: SweepPorts, model: Owner, since: Reliance): Promise<boolean> {
  const { sweeps = NONE } = (await readRepository(table, model.id)).body;
  return sweeps.last > since;
}

/** To be called with the root that the commit is conditional on. @throws Swept, for {@link relyingOnBytes} */
export async function requireKept(
  ports: SweepPorts,
  model: Owner,
  root: Repository,
  since: Reliance,
  sha256: Iterable<string>,
): Promise<void> {
  if (await mayBeGone(ports, model, root, since, sha256)) throw new Swept();
}

/** Whether any of these was in a sweep that was not over when the request began. */
export async function mayBeGone(
  { table }: SweepPorts,
  model: Owner,
  root: Repository,
  since: Reliance,
  sha256: Iterable<string>,
): Promise<boolean> {
  const { last } = root.sweeps ?? NONE;
  if (last <= since) return false;
  const wanted = new Set(sha256);
  for (let from = since + 1; from <= last; from += RECORDS_READ) {
    const numbers = Array.from(
      { length: Math.min(RECORDS_READ, last - from + 1) },
      (_, index) => from + index,
    );
    for (const item of await table.getMany(numbers.map((number) => sweepKey(model.id, number)))) {
      const body = item?.body as SweepBody | undefined;
      // Its record has expired: that request has taken long.
      if (!body || body.sha256.some((digest) => wanted.has(digest))) return true;
    }
  }
  return false;
}

/** Waits until no sweep is under way. One whose process died is over after a while. */
export async function sweepsEnded(ports: SweepPorts, model: Owner): Promise<void> {
  for (;;) {
    const { sweeps = NONE } = (await readRepository(ports.table, model.id)).body;
    if (sweeps.ended === sweeps.last) return;
    if (!isUnderWay(sweeps, ports.clock.now())) return endSweep(ports, model, sweeps.last);
    await setTimeout(WAIT_MS);
  }
}
