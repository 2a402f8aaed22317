import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Ports } from '../../../shared/ports/ports.ts';
import { adoptVersion } from '../../../shared/registry/adopt-version.ts';
import { completeUpload, verifyUpload } from '../../../shared/registry/complete-upload.ts';
import { createVersion } from '../../../shared/registry/create-version.ts';
import { readFileList } from '../../../shared/registry/file-list.ts';
import { lfsPointer } from '../../../shared/registry/git/lfs-pointer.ts';
import { gitObject, ZERO_OID } from '../../../shared/registry/git/object.ts';
import { writePack } from '../../../shared/registry/git/pack.ts';
import { lfsUploads } from '../../../shared/registry/lfs.ts';
import { createModel, findModel, type ModelRef, type StoredModel } from '../../../shared/registry/model.ts';
import { receivePush } from '../../../shared/registry/receive-push.ts';
import { registerArrival } from '../../../shared/registry/register-arrival.ts';
import { announceSweep } from '../../../shared/registry/sweep.ts';
import { createUpload, signParts } from '../../../shared/registry/upload.ts';
import { COPIED_AT_ONCE, HASHED_AT_ONCE, type VerifyWork } from '../../../shared/registry/verify-work.ts';
import { fileListName, listVersions } from '../../../shared/registry/version.ts';
import { GRACE_MS } from '../../../shared/storage/garbage.ts';
import { blobKey } from '../../../shared/storage/prefix.ts';
import { interrupted } from '../../support/interrupted-ports.ts';
import { type LocalPorts, openLocalPorts, someone } from '../../support/local-ports.ts';

/** What happens when somebody waits for a sweep to be over. */
const waits = vi.hoisted(() => ({ onWait: () => {} }));
vi.mock('node:timers/promises', () => ({
  setTimeout: () => {
    waits.onWait();
    return new Promise((resolve) => setImmediate(resolve));
  },
}));

const ada = someone('ada', 'admin');
const draft = { message: '', description: '', tags: {}, source: { via: 'api' as const } };
const HOUR = 3600 * 1000;
const BYTES = Buffer.from('\u0000old bytes that nothing refers to');
const SHA256 = createHash('sha256').update(BYTES).digest('hex');
const file = { path: 'a.bin', size: BYTES.length, sha256: SHA256 };

let ports: LocalPorts;
/** Another process, with modules of its own: what keeps writers of one process apart does not keep it out. */
let other: {
  ports: Ports;
  reclaim(ports: Ports, model: StoredModel): Promise<unknown>;
  close(): Promise<void>;
};
let ref: ModelRef;
let model: StoredModel;
beforeEach(async () => {
  ports = await openLocalPorts();
  vi.resetModules();
  const { openSqliteTable } = await import('../../../shared/adapters/local/sqlite-table.ts');
  const { reclaim } = await import('../../../shared/registry/reclaim.ts');
  const table = await openSqliteTable(join(ports.dir, 'cairn.db'));
  other = { ports: { ...ports, table }, reclaim, close: () => table.close() };
  ports.clock.advance(Date.now() - ports.clock.now() + 2 * GRACE_MS);
});
afterEach(async () => {
  await other.close();
  await ports.close();
});

let models = 0;
/** A model with bytes that may be reclaimed. */
async function prepare(): Promise<void> {
  ref = { workspace: 'default', name: `model-${models++}` };
  await createModel(ports, ada, { ...ref, description: '', tags: {} });
  model = await findModel(ports.table, ref);
  await ports.blobs.put(blobKey('default', model.id, SHA256), BYTES, { sha256: SHA256 });
  await ports.blobs.put('runs/a.bin', BYTES, { sha256: SHA256 });
}

function commitOf(content: Uint8Array) {
  const blob = gitObject('blob', content);
  const tree = gitObject(
    'tree',
    Buffer.concat([Buffer.from('100644 a.bin\0'), Buffer.from(blob.oid, 'hex')]),
  );
  const who = 'Ada <ada@example.org> 1 +0000';
  const commit = gitObject(
    'commit',
    Buffer.from(`tree ${tree.oid}\nauthor ${who}\ncommitter ${who}\n\nmessage`),
  );
  return { oid: commit.oid, objects: [blob, tree, commit] };
}

async function push(at: Ports, content: Uint8Array): Promise<string | undefined> {
  const { oid, objects } = commitOf(content);
  const report = await receivePush(at, ada, ref, {
    commands: [{ name: 'refs/heads/main', old: ZERO_OID, new: oid }],
    atomic: false,
    pack: writePack(objects).bytes,
    limits: { objects: 1000, objectBytes: 1e6, totalBytes: 1e7 },
  });
  return report.results[0]?.problem;
}

async function upload(at: Ports): Promise<void> {
  const { upload: begun, files } = await createUpload(at, ada, ref, draft, [file]);
  const one = { ...ref, upload: begun.id };
  if (!files[0]?.done) {
    const [part] = await signParts(at, ada, one, { path: file.path, from: 1, count: 1 });
    await fetch(part?.url ?? '', { method: 'PUT', body: new Uint8Array(BYTES) });
  }
  await completeUpload(at, ada, one);
}

/** A version of artifacts that a request leaves to be hashed, or copied, afterwards. */
async function adoptLater(at: Ports, artifact: { size: number; sha256?: string }): Promise<void> {
  const ordered: VerifyWork[] = [];
  const foreign = [{ path: 'a.bin', key: 'runs/a.bin', ...artifact }];
  await adoptVersion(at, ada, ref, draft, foreign, async (work) => void ordered.push(work));
  for (const work of ordered) await verifyUpload(at, ada, work, { deadline: Number.POSITIVE_INFINITY });
}

/** Every way in which bytes that are there already come to be referred to. */
const DOORS: Record<string, (at: Ports) => Promise<unknown>> = {
  'a version with its bytes in the request': (at) =>
    createVersion(at, ada, ref, draft, [{ path: 'a.bin', bytes: BYTES }]),
  'a version of a run’s artifacts': (at) =>
    adoptVersion(at, ada, ref, draft, [{ ...file, key: 'runs/a.bin' }]),
  'a version of artifacts that are hashed later': (at) => adoptLater(at, { size: HASHED_AT_ONCE + 1 }),
  'a version of artifacts that are copied later': (at) =>
    adoptLater(at, { size: COPIED_AT_ONCE + 1, sha256: SHA256 }),
  'an upload': upload,
  'an arrival': (at) =>
    registerArrival(at, ada, {
      ...ref,
      id: ref.name,
      message: '',
      files: [
        {
          path: 'a.bin',
          open: async function* () {
            yield BYTES;
          },
        },
      ],
    }),
  'a push of the file itself': (at) => push(at, BYTES),
};

const present = async () =>
  (await ports.blobs.stat(blobKey('default', model.id, SHA256)))?.size === BYTES.length;

async function wholeVersions(): Promise<number> {
  const { items } = await listVersions(ports, ada, ref, { limit: 10 });
  for (const { number, status } of items) {
    expect(status).toBe('READY');
    for (const { sha256 } of (await readFileList(ports, model.id, fileListName(number))) ?? [])
      expect(
        await ports.blobs.stat(blobKey('default', model.id, sha256)),
        `of version ${number}`,
      ).toBeDefined();
  }
  return items.length;
}

describe('bytes that garbage collection is about to take are there when a version has them', () => {
  for (const [name, make] of Object.entries(DOORS)) {
    test(`${name}, a collection at any moment of it`, { timeout: 60_000 }, async () => {
      for (let at = 0, calls = 1; at <= calls; at++) {
        await prepare();
        const watched = interrupted(ports, at, () => other.reclaim(other.ports, model));
        await make(watched.ports);
        calls = Math.max(calls, watched.calls());
        expect(await wholeVersions(), `call ${at}`).toBe(1);
      }
    });

    test(`${name}, at any moment of a collection`, { timeout: 60_000 }, async () => {
      for (let at = 0, calls = 1; at <= calls; at++) {
        await prepare();
        let making: Promise<unknown> | undefined;
        const watched = interrupted(other.ports, at, () => {
          const waiting = new Promise<void>((resolve) => {
            waits.onWait = resolve;
          });
          making = make(ports);
          return Promise.race([making, waiting]);
        });
        await other.reclaim(watched.ports, model);
        await (making ?? make(ports));
        calls = Math.max(calls, watched.calls());
        expect(await wholeVersions(), `call ${at}`).toBe(1);
      }
    });
  }

  test('a push that names LFS objects is refused, or they are there', { timeout: 60_000 }, async () => {
    let refused = 0;
    for (let at = 0, calls = 1; at <= calls; at++) {
      await prepare();
      const watched = interrupted(ports, at, () => other.reclaim(other.ports, model));
      const problem = await push(watched.ports, lfsPointer(file));
      calls = Math.max(calls, watched.calls());
      if (problem !== undefined) {
        refused++;
        expect(problem).toBe('the LFS objects of a.bin are missing');
      }
      expect(await wholeVersions(), `call ${at}`).toBe(problem === undefined ? 1 : 0);
    }
    expect(refused).toBeGreaterThan(0);
  });
});

test('an object that git-lfs was told not to send is kept until the push comes', {
  timeout: 60_000,
}, async () => {
  const object = { oid: SHA256, size: BYTES.length };
  let there = 0;
  for (let at = 0, calls = 1; at <= calls; at++) {
    await prepare();
    const watched = interrupted(ports, at, () => other.reclaim(other.ports, model));
    const [answer] = await lfsUploads(watched.ports, ada, ref, [object]);
    calls = Math.max(calls, watched.calls());
    ports.clock.advance(6 * HOUR);
    await other.reclaim(other.ports, model);
    // No address to send it to: the model has it.
    expect(await present(), `call ${at}`).toBe(answer?.url === undefined);
    if (await present()) {
      there++;
      expect(await push(ports, lfsPointer(file))).toBeUndefined();
      expect(await wholeVersions()).toBe(1);
    }
  }
  expect(there).toBeGreaterThan(0);
  await prepare();
  await lfsUploads(ports, ada, ref, [object]);
  ports.clock.advance(25 * HOUR);
  await other.reclaim(other.ports, model);
  expect(await present()).toBe(false);
});

test('a collection whose process died holds nobody up for more than a minute', async () => {
  await prepare();
  await announceSweep(ports, model, [SHA256]);
  const waiting = new Promise<void>((resolve) => {
    waits.onWait = resolve;
  });
  const making = createVersion(ports, ada, ref, draft, [{ path: 'a.bin', bytes: BYTES }]);
  await waiting;
  // Other bytes do not wait for it.
  await createVersion(ports, ada, ref, draft, [{ path: 'b.bin', bytes: Buffer.from('\u0000b') }]);
  ports.clock.advance(60_000);
  expect((await making).number).toBe(2);
  expect(await wholeVersions()).toBe(2);
});
