import pMap from 'p-map';
import type { BlobEntry } from '../ports/blob-store.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import { ConditionFailed, type Op } from '../ports/table.ts';
import { GRACE_MS, type Reclaimed } from '../storage/garbage.ts';
import { type Artifact, type ArtifactOwner, artifactsPrefix } from './artifact.ts';
import { openUploadKeys } from './artifact-upload.ts';
import { inTransactions, readAll } from './batches.ts';
import { artifactsPartition, artifactWalkKey, givenUpKey } from './keys.ts';

/** Where the walk through a workspace's artifacts is; it is begun anew a day after it ended. */
interface Walk {
  readonly format: 1;
  /** The last object that was looked at. */
  readonly after?: string;
  /** Milliseconds since the epoch. */
  readonly endedAt?: number;
}

/** As their keys follow each other. */
const KINDS: readonly ArtifactOwner['kind'][] = ['logged-model', 'run'];
const LISTED_AT_ONCE = 1000;
const PARALLEL = 16;

/**
 * Removes bytes of runs and logged models that are no artifact: their process died before it recorded them, or before it
 * removed what it had replaced or deleted. Looks at everything once a day, and for a page of objects at least.
 * @returns `more` when it stopped at `deadline` (milliseconds since the epoch): the next call goes on
 */
export async function reclaimArtifacts(
  ports: Ports,
  workspace: string,
  deadline = Number.POSITIVE_INFINITY,
): Promise<Reclaimed & { more: boolean }> {
  const at = artifactWalkKey(workspace);
  const item = await ports.table.get(at);
  const { after: start, endedAt = 0 } = (item?.body ?? {}) as Partial<Walk>;
  let objects = 0;
  let bytes = 0;
  if (start === undefined && ports.clock.now() < endedAt + GRACE_MS) return { objects, bytes, more: false };
  let rev = item?.rev;
  const note = async (walk: Omit<Walk, 'format'>) => {
    const body: Walk = { format: 1, ...walk };
    await ports.table.transact([{ put: { ...at, body }, if: rev === undefined ? 'absent' : { rev } }]);
    rev = (rev ?? 0) + 1;
  };
  try {
    let after = start;
    const recorded = recordedKeys(ports);
    for (const kind of KINDS) {
      for (;;) {
        const page = await ports.blobs.list(`workspaces/${workspace}/${kind}s/`, {
          limit: LISTED_AT_ONCE,
          after,
        });
        const swept = await sweepPage(ports, { kind, workspace }, page.objects, recorded);
        objects += swept.objects;
        bytes += swept.bytes;
        after = page.objects.at(-1)?.key ?? after;
        if (!page.more) break;
        await note({ after });
        if (ports.clock.now() >= deadline) return { objects, bytes, more: true };
      }
    }
    await note({ endedAt: ports.clock.now() });
  } catch (error) {
    // Another process walks it.
    if (!(error instanceof ConditionFailed)) throw error;
  }
  return { objects, bytes, more: false };
}

type Recorded = (owner: ArtifactOwner) => Promise<ReadonlySet<string>>;

/** The keys that an owner's artifacts have; those of the last owner are kept, who may have thousands. */
function recordedKeys({ table }: Pick<Ports, 'table'>): Recorded {
  let last: { id: string; keys: ReadonlySet<string> } | undefined;
  return async ({ id }) => {
    if (last?.id !== id) {
      const keys = new Set<string>();
      for await (const { body } of itemsOf(table, artifactsPartition(id))) keys.add((body as Artifact).key);
      last = { id, keys };
    }
    return last.keys;
  };
}

async function sweepPage(
  ports: Ports,
  { kind, workspace }: Pick<ArtifactOwner, 'kind' | 'workspace'>,
  entries: readonly BlobEntry[],
  recorded: Recorded,
): Promise<Reclaimed> {
  const before = ports.clock.now() - GRACE_MS;
  const old = entries.filter(({ modifiedAt }) => modifiedAt <= before);
  const byOwner = Map.groupBy(old, ({ key }) => key.split('/')[3] ?? '');
  let objects = 0;
  let bytes = 0;
  for (const [id, found] of byOwner) {
    const owner = { kind, id, workspace };
    const known = await recorded(owner);
    const swept = await sweep(
      ports,
      owner,
      found.filter(({ key }) => !known.has(key)),
    );
    objects += swept.objects;
    bytes += swept.bytes;
  }
  return { objects, bytes };
}

/** Announces that these bytes are given up, looks once more whether they are recorded, and removes the rest. */
async function sweep(
  ports: Ports,
  owner: ArtifactOwner,
  unrecorded: readonly BlobEntry[],
): Promise<Reclaimed> {
  if (unrecorded.length === 0) return { objects: 0, bytes: 0 };
  const open = await openUploadKeys(ports.table);
  const candidates = unrecorded.filter(({ key }) => !open.has(key));
  await announce(ports, owner, candidates);
  const known = await recordedKeys(ports)(owner);
  const dead = candidates.filter(({ key }) => !known.has(key));
  await pMap(dead, ({ key }) => ports.blobs.delete(key), { concurrency: PARALLEL });
  return { objects: dead.length, bytes: dead.reduce((sum, { size }) => sum + size, 0) };
}

/** From here on nobody records them: {@link recordArtifact} asks, in the transaction that would. */
async function announce(
  { table }: Pick<Ports, 'table'>,
  owner: ArtifactOwner,
  entries: readonly BlobEntry[],
): Promise<void> {
  const keys = entries.map(({ key }) => givenUpKey(owner.id, key.slice(artifactsPrefix(owner).length)));
  const announced = await readAll(table, keys);
  const missing = keys.filter(({ sk }) => !announced.has(sk));
  await inTransactions(
    table,
    missing.map((key): Op[] => [{ put: { ...key, body: {} }, if: 'absent' }]),
  );
}
