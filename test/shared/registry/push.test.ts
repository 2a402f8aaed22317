import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { verifyAudit } from '../../../shared/audit/verify.ts';
import { itemsOf } from '../../../shared/ports/items-of.ts';
import { packItem } from '../../../shared/registry/commit-version.ts';
import { consolidate } from '../../../shared/registry/consolidate.ts';
import { createVersion } from '../../../shared/registry/create-version.ts';
import { deletedModels, deleteModel, purgeDeleted } from '../../../shared/registry/delete-model.ts';
import { lfsPointer } from '../../../shared/registry/git/lfs-pointer.ts';
import { type GitObject, gitObject, ZERO_OID } from '../../../shared/registry/git/object.ts';
import { selectObjects } from '../../../shared/registry/git/objects-to-send.ts';
import { writePack } from '../../../shared/registry/git/pack.ts';
import { packsPartition, repositoryKey } from '../../../shared/registry/keys.ts';
import { createModel, findModel, type StoredModel } from '../../../shared/registry/model.ts';
import type { PushReport } from '../../../shared/registry/push.ts';
import { receivePush } from '../../../shared/registry/receive-push.ts';
import { reclaim } from '../../../shared/registry/reclaim.ts';
import { listRefs } from '../../../shared/registry/refs.ts';
import { lastPack, readRepository } from '../../../shared/registry/repository.ts';
import { openObjects } from '../../../shared/registry/repository-objects.ts';
import { deleteVersion } from '../../../shared/registry/version.ts';
import { blobKey, modelPrefix } from '../../../shared/storage/prefix.ts';
import { interrupted } from '../../support/interrupted-ports.ts';
import { type LocalPorts, openLocalPorts, someone } from '../../support/local-ports.ts';

const ada = someone('ada', 'admin');
const ref = { workspace: 'default', name: 'digits' };
const LIMITS = { objects: 1000, objectBytes: 1e6, totalBytes: 1e7 };
const DAYS = 24 * 3600 * 1000;

let ports: LocalPorts;
let model: StoredModel;
beforeEach(async () => {
  ports = await openLocalPorts();
  await createModel(ports, ada, { ...ref, description: '', tags: {} });
  model = await findModel(ports.table, ref);
});
afterEach(() => ports.close());

const api = (text: string) =>
  createVersion(ports, ada, ref, { message: '', description: '', tags: {}, source: { via: 'api' } }, [
    { path: 'a.txt', bytes: Buffer.from(text) },
  ]);

/** A commit of one file, and its objects. */
function commitOf(
  content: Uint8Array,
  parents: readonly string[] = [],
  message = 'm',
): { oid: string; objects: GitObject[] } {
  const blob = gitObject('blob', content);
  const tree = gitObject('tree', Buffer.concat([Buffer.from('100644 file\0'), Buffer.from(blob.oid, 'hex')]));
  const who = 'Ada <ada@example.org> 1 +0000';
  const lines = [
    `tree ${tree.oid}`,
    ...parents.map((oid) => `parent ${oid}`),
    `author ${who}`,
    `committer ${who}`,
    '',
    message,
  ];
  const commit = gitObject('commit', Buffer.from(lines.join('\n')));
  return { oid: commit.oid, objects: [blob, tree, commit] };
}

const push = (
  name: string,
  old: string,
  to: string,
  objects: readonly GitObject[] = [],
): Promise<PushReport> =>
  receivePush(ports, ada, ref, {
    commands: [{ name, old, new: to }],
    atomic: false,
    pack: objects.length > 0 ? writePack(objects).bytes : undefined,
    limits: LIMITS,
  });

async function lfsObject(text: string): Promise<{ sha256: string; size: number }> {
  const bytes = Buffer.from(text);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  await ports.blobs.put(blobKey('default', model.id, sha256), bytes, { sha256 });
  return { sha256, size: bytes.length };
}
const there = async ({ sha256 }: { sha256: string }) =>
  (await ports.blobs.stat(blobKey('default', model.id, sha256))) !== undefined;

async function repository() {
  const { refs, root } = await listRefs(ports, model);
  return { refs, root, database: await openObjects(ports, model, root.body) };
}

describe('consolidation', () => {
  test('all that refs lead to is in one pack afterwards, and what they do not is gone', async () => {
    for (let n = 0; n < 20; n++) await api(`${n}`);
    const dropped = commitOf(Buffer.from('dropped'));
    const kept = commitOf(Buffer.from('kept'));
    await push('refs/heads/dropped', ZERO_OID, dropped.oid, dropped.objects);
    await push('refs/heads/kept', ZERO_OID, kept.oid, kept.objects);
    await push('refs/heads/dropped', dropped.oid, ZERO_OID);
    const before = await repository();
    expect(before.database.has(dropped.oid)).toBe(true);
    const wants = before.refs.map(({ oid }) => oid);
    const all = await selectObjects(before.database, { wants, haves: [] });
    expect(await consolidate(ports, model, () => 1)).toBe(true);
    const after = await repository();
    expect(after.refs).toEqual(before.refs);
    expect(after.database.has(dropped.oid)).toBe(false);
    expect((await selectObjects(after.database, { wants, haves: [] })).objects).toEqual(all.objects);
    for (const oid of all.objects) expect((await after.database.read(oid))?.oid).toBe(oid);
    // One who reads what was there before still can; an hour later it is gone.
    for (const oid of all.objects) expect((await before.database.entry(oid)).length).toBeGreaterThan(0);
    await api('21');
    ports.clock.advance(2 * 3600 * 1000);
    expect(await consolidate(ports, model, () => 1)).toBe(true);
    expect((await repository()).refs.filter(({ name }) => name.startsWith('refs/tags/'))).toHaveLength(21);
    ports.clock.advance(2 * 3600 * 1000);
    await consolidate(ports, model, () => 1);
    expect(await Array.fromAsync(itemsOf(ports.table, packsPartition(model.id)))).toEqual([]);
    expect((await api('22')).number).toBe(22);
  });

  test('a push that builds on what a consolidation drops meanwhile is looked at again, and refused', async () => {
    await api('one');
    const dropped = commitOf(Buffer.from('dropped'));
    await push('refs/heads/x', ZERO_OID, dropped.oid, dropped.objects);
    await push('refs/heads/x', dropped.oid, ZERO_OID);
    const child = commitOf(Buffer.from('child'), [dropped.oid]);
    // The repository is consolidated between the push's look at its packs and its transaction.
    let done = false;
    const table: LocalPorts['table'] = {
      ...ports.table,
      query: async (query) => {
        const page = await ports.table.query(query);
        if (!done && query.pk === packsPartition(model.id)) {
          done = true;
          await consolidate(ports, model, () => 1);
        }
        return page;
      },
    };
    const report = await receivePush({ ...ports, table }, ada, ref, {
      commands: [{ name: 'refs/heads/y', old: ZERO_OID, new: child.oid }],
      atomic: false,
      pack: writePack(child.objects).bytes,
      limits: LIMITS,
    });
    expect(report.unpack).toContain(`${dropped.oid} is missing`);
    expect((await repository()).refs.map(({ name }) => name)).toEqual(['refs/heads/main', 'refs/tags/v1']);
  });
});

describe('LFS objects', () => {
  test('those that a branch or history names stay; they go with the branch, and those of a deleted version with it', async () => {
    const [onBranch, inHistory, ofVersion, ofLast] = [
      await lfsObject('branch'),
      await lfsObject('history'),
      await lfsObject('version'),
      await lfsObject('last'),
    ];
    const branch = commitOf(lfsPointer(onBranch));
    await push('refs/heads/work', ZERO_OID, branch.oid, branch.objects);
    const first = commitOf(lfsPointer(inHistory));
    const second = commitOf(lfsPointer(ofVersion), [first.oid]);
    const third = commitOf(lfsPointer(ofLast), [second.oid]);
    await push('refs/heads/main', ZERO_OID, second.oid, [...first.objects, ...second.objects]);
    await push('refs/heads/main', second.oid, third.oid, third.objects);
    ports.clock.advance(400 * DAYS);
    await reclaim(ports, model);
    for (const object of [onBranch, inHistory, ofVersion, ofLast]) expect(await there(object)).toBe(true);
    await deleteVersion(ports, ada, { ...ref, number: 1 });
    await push('refs/heads/work', branch.oid, ZERO_OID);
    await consolidate(ports, model, () => 1);
    await reclaim(ports, model);
    expect(await Promise.all([onBranch, inHistory, ofVersion, ofLast].map(there))).toEqual([
      false,
      true,
      false,
      true,
    ]);
  });

  test('a deleted version’s file is not taken to be there because the next push has it too', async () => {
    const object = await lfsObject('weights');
    const first = commitOf(lfsPointer(object));
    await push('refs/heads/main', ZERO_OID, first.oid, first.objects);
    await deleteVersion(ports, ada, { ...ref, number: 1 });
    ports.clock.advance(400 * DAYS);
    await reclaim(ports, model);
    expect(await there(object)).toBe(false);
    const again = commitOf(lfsPointer(object), [first.oid], 'again');
    const report = await push('refs/heads/main', first.oid, again.oid, again.objects);
    expect(report.results).toEqual([
      { name: 'refs/heads/main', problem: 'the LFS objects of file are missing' },
    ]);
  });
});

test('pushes and versions by the API alternate on one line of history, each with its audit event', async () => {
  const first = await api('one');
  const second = commitOf(Buffer.from('pushed'), [first.commit ?? '']);
  expect((await push('refs/heads/main', first.commit ?? '', second.oid, second.objects)).results).toEqual([
    { name: 'refs/heads/main' },
  ]);
  const third = await api('three');
  const root = (await readRepository(ports.table, model.id)).body;
  expect([root.nextNumber, root.main]).toEqual([4, { commit: third.commit, version: 3 }]);
  const { database } = await repository();
  expect((await database.commit(third.commit ?? ''))?.parents).toEqual([second.oid]);
  // A tree that the API would have built, had it made the commit before, is stored all the same.
  for (const { oid } of (await repository()).refs) {
    const { objects } = await selectObjects(database, { wants: [oid], haves: [] });
    for (const one of objects) expect(await database.read(one)).toBeDefined();
  }
  expect(await verifyAudit(ports, 'default')).toMatchObject({ ok: true });
  expect(ports.events.map(({ type }) => type).filter((type) => type === 'version.created')).toHaveLength(3);
});

test('a commit whose few trees unfold to more than anybody can list makes no version', async () => {
  const leaf = gitObject('tree', Buffer.concat([Buffer.from('160000 s\0'), Buffer.alloc(20, 1)]));
  const objects = [leaf];
  for (let tree = leaf; objects.length < 30; objects.push(tree)) {
    const entry = (name: string, oid: string) => [Buffer.from(`40000 ${name}\0`), Buffer.from(oid, 'hex')];
    tree = gitObject('tree', Buffer.concat([...entry('a', tree.oid), ...entry('b', tree.oid)]));
  }
  const who = 'Ada <ada@example.org> 1 +0000';
  const text = `tree ${objects.at(-1)?.oid}\nauthor ${who}\ncommitter ${who}\n\nm`;
  const commit = gitObject('commit', Buffer.from(text));
  const { results } = await receivePush(ports, ada, ref, {
    commands: [{ name: 'refs/heads/main', old: ZERO_OID, new: commit.oid }],
    atomic: false,
    pack: writePack([...objects, commit]).bytes,
    limits: LIMITS,
  });
  expect(results[0]?.problem).toMatch(/at most 200000 entries/);
});

describe('an object whose id is taken already', () => {
  const main = 'refs/heads/main';

  /** What a SHA-1 collision would be: other bytes in the repository under an id that is then pushed. */
  async function collide(oid: string): Promise<void> {
    const other = gitObject('blob', Buffer.from('other bytes'));
    const pack = writePack([{ ...other, oid }]);
    const root = await readRepository(ports.table, model.id);
    const number = lastPack(root.body) + 1;
    await ports.table.transact([
      { put: { ...repositoryKey(model.id), body: { ...root.body, packs: number } }, if: { rev: root.rev } },
      { put: await packItem(ports, model, number, oid, pack), if: 'absent' },
    ]);
  }

  test('is taken when it is the same, and refused when it has other bytes: those that are stored stay', async () => {
    const first = commitOf(Buffer.from('one'));
    await push(main, ZERO_OID, first.oid, first.objects);
    const again = commitOf(Buffer.from('one'), [first.oid], 'the same file');
    expect((await push(main, first.oid, again.oid, again.objects)).results).toEqual([{ name: main }]);
    const second = commitOf(Buffer.from('two'), [again.oid]);
    const blob = second.objects[0]?.oid ?? '';
    await collide(blob);
    const report = await push(main, again.oid, second.oid, second.objects);
    expect(report.unpack).toContain(`Another object has the id ${blob}`);
    const { database } = await repository();
    expect(Buffer.from((await database.read(blob))?.content ?? []).toString()).toBe('other bytes');
  });
});

test('a model that is deleted at any moment of a push: the version was made before, or nothing of it is left', async () => {
  const large = Buffer.alloc(200_000, Math.random().toString());
  let refused = 0;
  for (let at = 0, calls = 1; at <= calls; at++) {
    const gone = { workspace: 'default', name: `gone-${at}` };
    const { id } = await createModel(ports, ada, { ...gone, description: '', tags: {} });
    let deleted: Promise<unknown> = Promise.resolve();
    const watched = interrupted(ports, at, async () => {
      deleted = deleteModel(ports, ada, gone);
      // While the push commits, it waits for its turn.
      for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
    });
    const { oid, objects } = commitOf(large);
    const pushed = receivePush(watched.ports, ada, gone, {
      commands: [{ name: 'refs/heads/main', old: ZERO_OID, new: oid }],
      atomic: false,
      pack: writePack(objects).bytes,
      limits: LIMITS,
    });
    const report = await pushed.catch((error) => {
      expect(error).toMatchObject({ code: 'MODEL_NOT_FOUND' });
      refused++;
    });
    if (report) expect(report.results).toEqual([{ name: 'refs/heads/main' }]);
    calls = Math.max(calls, watched.calls());
    await deleted;
    await deleteModel(ports, ada, gone).catch((error) =>
      expect(error).toMatchObject({ code: 'MODEL_NOT_FOUND' }),
    );
    for await (const purge of deletedModels(ports)) await purgeDeleted(ports, purge);
    expect((await ports.blobs.list(modelPrefix('default', id))).objects).toEqual([]);
    expect(await Array.fromAsync(itemsOf(ports.table, packsPartition(id)))).toEqual([]);
  }
  expect(refused).toBeGreaterThan(0);
});
