import { afterEach, beforeEach, expect, test } from 'vitest';
import { cleanUp } from '../../../functions/reconcile/housekeeping.ts';
import { CairnError } from '../../../shared/errors.ts';
import type { Ports } from '../../../shared/ports/ports.ts';
import { GRACE_MS } from '../../../shared/storage/garbage.ts';
import {
  type Artifact,
  type ArtifactOwner,
  artifactsBelow,
  deleteArtifacts,
  newArtifactKey,
  putArtifact,
  recordArtifact,
} from '../../../shared/tracking/artifact.ts';
import { completeArtifactUpload, createArtifactUpload } from '../../../shared/tracking/artifact-upload.ts';
import { reclaimArtifacts } from '../../../shared/tracking/reclaim-artifacts.ts';
import { createRun } from '../../../shared/tracking/run.ts';
import { interrupted } from '../../support/interrupted-ports.ts';
import { type LocalPorts, openLocalPorts, someone } from '../../support/local-ports.ts';

const ada = someone('ada', 'admin');
const BYTES = Buffer.from('bytes');
const DAY = GRACE_MS + 3600_000;

let ports: LocalPorts;
let owner: ArtifactOwner;
beforeEach(async () => {
  ports = await openLocalPorts();
  ports.clock.advance(Date.now() - ports.clock.now());
  owner = await newOwner();
});
afterEach(() => ports.close());

async function newOwner(): Promise<ArtifactOwner> {
  const { run } = await createRun(ports, ada, {
    workspace: 'default',
    experiment: '0',
    user: 'ada',
    startTime: 1,
    tags: {},
  });
  return { kind: 'run', id: run.id, workspace: 'default' };
}

const stored = async () => (await ports.blobs.list('workspaces/default/')).objects.map(({ key }) => key);
const recorded = async () =>
  (await artifactsBelow(ports.table, owner, '')).map(({ key }: Artifact) => key).sort();

/** A process that dies before its first call of this one. */
function dying<Port extends 'table' | 'blobs'>(port: Port, call: keyof Ports[Port]): Ports {
  const dead = new Proxy(ports[port], {
    get: (target, name) =>
      name === call ? () => Promise.reject(new Error('killed')) : Reflect.get(target, name),
  });
  return { ...ports, [port]: dead };
}

/** A day later, as long as somebody needs it to be. */
async function aDayLater(): Promise<number> {
  ports.clock.advance(DAY);
  return (await reclaimArtifacts(ports, 'default')).bytes;
}

test('bytes whose process died before it recorded them go a day later', async () => {
  await putArtifact(ports, ada, owner, 'kept', BYTES);
  await expect(putArtifact(dying('table', 'transact'), ada, owner, 'lost', BYTES)).rejects.toThrow('killed');
  expect(await stored()).toHaveLength(2);
  expect((await reclaimArtifacts(ports, 'default')).objects).toBe(0);
  expect(await aDayLater()).toBe(BYTES.length);
  expect(await stored()).toEqual(await recorded());
});

test('bytes that were replaced or deleted by a process that died before it removed them go a day later', async () => {
  const killed = dying('blobs', 'delete');
  for (const path of ['replaced', 'deleted']) await putArtifact(ports, ada, owner, path, BYTES);
  await expect(putArtifact(killed, ada, owner, 'replaced', Buffer.from('new'))).rejects.toThrow('killed');
  await expect(deleteArtifacts(killed, ada, owner, 'deleted')).rejects.toThrow('killed');
  expect(await stored()).toHaveLength(3);
  expect(await aDayLater()).toBe(2 * BYTES.length);
  expect(await stored()).toEqual(await recorded());
});

const onError = (error: unknown) => {
  throw error;
};

test('the hourly clean-up sees to it', async () => {
  await expect(putArtifact(dying('table', 'transact'), ada, owner, 'lost', BYTES)).rejects.toThrow('killed');
  ports.clock.advance(DAY);
  expect(await cleanUp(ports, { onError })).toEqual({ bytes: BYTES.length, failed: 0 });
  expect(await stored()).toEqual([]);
});

/** Recorded and there, or neither and its writer knows it. */
async function expectWhole(writing: Promise<unknown>, at: string): Promise<'kept' | 'refused'> {
  const error = await writing.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(await stored(), at).toEqual(await recorded());
  expect(await stored(), at).toHaveLength(error === undefined ? 1 : 0);
  if (error === undefined) return 'kept';
  expect(error, at).toBeInstanceOf(CairnError);
  expect(error, at).toMatchObject({ code: 'UPLOAD_NOT_FOUND' });
  return 'refused';
}

test('a collection at any moment of a writer who takes over a day leaves what he records whole', async () => {
  const seen = new Set<string>();
  for (let at = 0, calls = 1; at <= calls; at++) {
    owner = await newOwner();
    const watched = interrupted(ports, at, aDayLater);
    seen.add(await expectWhole(putArtifact(watched.ports, ada, owner, 'a.bin', BYTES), `call ${at}`));
    calls = Math.max(calls, watched.calls());
    await deleteArtifacts(ports, ada, owner, '');
  }
  expect([...seen].sort()).toEqual(['kept', 'refused']);
});

test('a writer at any moment of a collection has his bytes, or is told to send them again', async () => {
  const seen = new Set<string>();
  for (let at = 0, calls = 1; at <= calls; at++) {
    owner = await newOwner();
    const key = newArtifactKey(owner);
    const stat = await ports.blobs.put(key, BYTES);
    ports.clock.advance(DAY);
    let recording: Promise<unknown> | undefined;
    const record = () => recordArtifact(ports, owner, 'a.bin', key, stat);
    const watched = interrupted(ports, at, async () => {
      recording = record();
      await recording.catch(() => undefined);
    });
    await reclaimArtifacts(watched.ports, 'default');
    seen.add(await expectWhole(recording ?? record(), `call ${at}`));
    calls = Math.max(calls, watched.calls());
    await deleteArtifacts(ports, ada, owner, '');
  }
  expect([...seen].sort()).toEqual(['kept', 'refused']);
});

test('a collection that died after its announcement is taken up by the next one', async () => {
  await expect(putArtifact(dying('table', 'transact'), ada, owner, 'lost', BYTES)).rejects.toThrow('killed');
  ports.clock.advance(DAY);
  await expect(reclaimArtifacts(dying('blobs', 'delete'), 'default')).rejects.toThrow('killed');
  expect(await stored()).toHaveLength(1);
  expect((await reclaimArtifacts(ports, 'default')).objects).toBe(1);
});

test('a file that came in parts and is about to be recorded stays as long as its upload is open', async () => {
  const { id, urls } = await createArtifactUpload(ports, ada, owner, 'big.bin', 1);
  await fetch(urls[0] ?? '', { method: 'PUT', body: BYTES });
  await expect(completeArtifactUpload(dying('table', 'transact'), ada, id)).rejects.toThrow('killed');
  expect(await aDayLater()).toBe(0);
  await completeArtifactUpload(ports, ada, id);
  expect(await aDayLater()).toBe(0);
  expect(await stored()).toEqual(await recorded());
});

test('what takes long goes on at its next call, and everything is looked at once a day', async () => {
  const killed = dying('table', 'transact');
  for (const path of ['a', 'b', 'c'])
    await expect(putArtifact(killed, ada, owner, path, BYTES)).rejects.toThrow('killed');
  const { list } = ports.blobs;
  // A store may answer with fewer than it was asked for.
  ports.blobs.list = (prefix, options) => list(prefix, { ...options, limit: 2 });
  ports.clock.advance(DAY);
  const first = await cleanUp(ports, { deadline: 0, onError });
  expect(first).toEqual({ bytes: 2 * BYTES.length, failed: 0, next: { workspace: 'default' } });
  expect(await cleanUp(ports, { after: first.next, onError })).toEqual({ bytes: BYTES.length, failed: 0 });
  await expect(putArtifact(killed, ada, owner, 'd', BYTES)).rejects.toThrow('killed');
  expect((await reclaimArtifacts(ports, 'default')).objects).toBe(0);
  expect(await aDayLater()).toBe(BYTES.length);
});
