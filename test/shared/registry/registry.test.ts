import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { verifyAudit } from '../../../shared/audit/verify.ts';
import { aliasHistory, getAlias, listAliases, moveAlias } from '../../../shared/registry/alias.ts';
import { decideApproval } from '../../../shared/registry/approval.ts';
import { createReference, createVersion } from '../../../shared/registry/create-version.ts';
import { deletedModels, deleteModel, purgeDeleted } from '../../../shared/registry/delete-model.ts';
import { createModel, getModel, listModels, updateModel } from '../../../shared/registry/model.ts';
import { reclaim } from '../../../shared/registry/reclaim.ts';
import { searchModels } from '../../../shared/registry/search.ts';
import {
  deleteVersion,
  getVersion,
  listFiles,
  listVersions,
  updateVersion,
} from '../../../shared/registry/version.ts';
import { GRACE_MS } from '../../../shared/storage/garbage.ts';
import { modelPrefix } from '../../../shared/storage/prefix.ts';
import { type LocalPorts, openLocalPorts, someone } from '../../support/local-ports.ts';

const ada = someone('ada', 'admin');
const draft = { message: '', description: '', tags: {}, source: { via: 'api' as const } };
const text = (content: string) => Buffer.from(content);

let ports: LocalPorts;
beforeEach(async () => {
  ports = await openLocalPorts();
});
afterEach(() => ports.close());

const ref = (name: string) => ({ workspace: 'default', name });
const makeModel = (name: string) => createModel(ports, ada, { ...ref(name), description: '', tags: {} });
const push = (name: string, files: Record<string, string>) =>
  createVersion(
    ports,
    ada,
    ref(name),
    draft,
    Object.entries(files).map(([path, content]) => ({ path, bytes: text(content) })),
  );

describe('models', () => {
  test.each([
    'digits',
    'two words',
    'données d’été',
    '数字',
    'v1.0-beta',
    '👩‍🔬',
    'a'.repeat(255),
    '%2F',
    '#?&+',
  ])('a model may be named %j', async (name) => {
    const model = await makeModel(name);
    expect(await getModel(ports, ada, ref(name))).toEqual(model);
    expect((await push(name, { 'a.txt': '1' })).number).toBe(1);
  });

  test('a name is taken once, however many ask for it at the same time', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => makeModel('digits')));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'MODEL_EXISTS' },
    });
  });

  test('a renamed model keeps its id, versions and aliases, and frees its old name', async () => {
    const model = await makeModel('old');
    await push('old', { 'a.txt': '1' });
    await moveAlias(ports, ada, { ...ref('old'), alias: 'champion' }, 1);
    await updateModel(ports, ada, ref('old'), { name: 'new' });
    expect((await getModel(ports, ada, ref('new'))).id).toBe(model.id);
    expect((await getAlias(ports, ada, { ...ref('new'), alias: 'champion' })).version.number).toBe(1);
    await expect(getModel(ports, ada, ref('old'))).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    expect((await makeModel('old')).id).not.toBe(model.id);
  });

  test('a change on an older revision is refused', async () => {
    const { rev } = await makeModel('digits');
    await updateModel(ports, ada, ref('digits'), { description: 'one' }, rev);
    await expect(updateModel(ports, ada, ref('digits'), { description: 'two' }, rev)).rejects.toMatchObject({
      code: 'PRECONDITION_FAILED',
    });
  });

  test('lists page to the end and show only what the caller may see', async () => {
    for (const name of ['a-1', 'a-2', 'a-3', 'b-1']) await makeModel(name);
    const viewer = someone('vi', 'viewer', { models: 'a-*' });
    const seen: string[] = [];
    for (let after: string | undefined; ; ) {
      const page = await listModels(ports, viewer, { workspace: 'default', limit: 1, after });
      seen.push(...page.items.map(({ name }) => name));
      if (page.next === undefined) break;
      after = page.next;
    }
    expect(seen).toEqual(['a-1', 'a-2', 'a-3']);
  });

  test('search finds names, descriptions and tags whatever their case', async () => {
    await makeModel('Digits');
    await createModel(ports, ada, { ...ref('other'), description: '', tags: { team: 'DIGITal' } });
    await makeModel('third');
    const found = await searchModels(ports, ada, { workspace: 'default', text: 'digit', limit: 10 });
    expect(found.items.map(({ name }) => name)).toEqual(['Digits', 'other']);
  });

  test('a deleted model frees its name at once and its bytes with the next clean-up; its audit chain stays', async () => {
    const { id } = await makeModel('digits');
    await push('digits', { 'weights.bin': '\u0000weights', 'a.txt': 'text' });
    await deleteModel(ports, ada, ref('digits'));
    await makeModel('digits');
    for await (const deleted of deletedModels(ports))
      expect(await purgeDeleted(ports, deleted)).toBeGreaterThan(0);
    expect((await ports.blobs.list(modelPrefix('default', id))).objects).toEqual([]);
    expect(await verifyAudit(ports, 'default')).toMatchObject({ ok: true });
    await expect(push('digits', { 'a.txt': 'text' })).resolves.toMatchObject({ number: 1 });
  });
});

describe('versions', () => {
  test('50 writers at once get the numbers 1 to 50, each with its own commit in one line of history', async () => {
    await makeModel('digits');
    const made = await Promise.all(Array.from({ length: 50 }, (_, n) => push('digits', { 'n.txt': `${n}` })));
    expect(made.map(({ number }) => number).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 50 }, (_, n) => n + 1),
    );
    expect(new Set(made.map(({ commit }) => commit)).size).toBe(50);
    const page = await listVersions(ports, ada, ref('digits'), { limit: 100 });
    expect(page.items.map(({ number }) => number)).toEqual(Array.from({ length: 50 }, (_, n) => 50 - n));
  });

  test('a version keeps its files with size and SHA-256, and their bytes are at their content address', async () => {
    await makeModel('digits');
    await push('digits', { 'a/b.txt': 'hello', 'c.txt': '' });
    const { files } = await listFiles(ports, ada, { ...ref('digits'), number: 1 });
    expect(files).toMatchObject([
      {
        path: 'a/b.txt',
        size: 5,
        sha256: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
      },
      { path: 'c.txt', size: 0, sha256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' },
    ]);
  });

  test.each([
    ['/etc/passwd', 'files.0.path'],
    ['../up', 'files.0.path'],
    ['a/../b', 'files.0.path'],
    ['a//b', 'files.0.path'],
    ['nul\0', 'files.0.path'],
    ['.git/config', 'files.0.path'],
    ['sub/.GIT/hooks', 'files.0.path'],
    ['C:\\model', 'files.0.path'],
    ['.gitattributes', 'files.0.path'],
    ['', 'files.0.path'],
    ['x'.repeat(256), 'files.0.path'],
  ])('the path %j is refused, naming the field, and nothing is made', async (path, field) => {
    await makeModel('digits');
    await expect(push('digits', { [path]: 'x' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field });
    expect((await listVersions(ports, ada, ref('digits'), { limit: 10 })).items).toEqual([]);
  });

  test('a path cannot be both a file and a folder', async () => {
    await makeModel('digits');
    await expect(push('digits', { a: '1', 'a/b': '2' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      field: 'files',
    });
  });

  test('a wrong digest and a truncated ONNX file are refused and take no number', async () => {
    await makeModel('digits');
    const file = { path: 'a.txt', bytes: text('a'), sha256: '0'.repeat(64) };
    await expect(createVersion(ports, ada, ref('digits'), draft, [file])).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
    });
    await expect(push('digits', { 'model.onnx': 'not onnx' })).rejects.toMatchObject({
      code: 'MODEL_FILE_INVALID',
    });
    expect((await push('digits', { 'a.txt': '1' })).number).toBe(1);
  });

  test('only description and tags of a READY version change', async () => {
    await makeModel('digits');
    const made = await push('digits', { 'a.txt': '1' });
    const changed = await updateVersion(
      ports,
      ada,
      { ...ref('digits'), number: 1 },
      { description: 'good', tags: { k: 'v' } },
    );
    expect(changed).toEqual({
      ...made,
      description: 'good',
      tags: { k: 'v' },
      rev: 2,
      updatedAt: ports.clock.now(),
    });
  });

  test('a deleted version leaves its number taken; its bytes go unless another version has them', async () => {
    const { id } = await makeModel('digits');
    await push('digits', { 'shared.bin': '\u0000shared', 'own.bin': '\u0000own' });
    await push('digits', { 'shared.bin': '\u0000shared' });
    await deleteVersion(ports, ada, { ...ref('digits'), number: 1 });
    await expect(getVersion(ports, ada, { ...ref('digits'), number: 1 })).rejects.toMatchObject({
      code: 'VERSION_NOT_FOUND',
    });
    const model = await getModel(ports, ada, ref('digits'));
    ports.clock.advance(Date.now() + 2 * GRACE_MS);
    expect(await reclaim(ports, model)).toEqual({ objects: 1, bytes: 4 });
    expect((await ports.blobs.list(`${modelPrefix('default', id)}blobs/`)).objects).toHaveLength(1);
    expect((await push('digits', { 'a.txt': '3' })).number).toBe(3);
  });

  test('a version that an alias or an endpoint needs cannot be deleted', async () => {
    const { id } = await makeModel('digits');
    await push('digits', { 'a.txt': '1' });
    await moveAlias(ports, ada, { ...ref('digits'), alias: 'champion' }, 1);
    const remove = () => deleteVersion(ports, ada, { ...ref('digits'), number: 1 });
    await expect(remove()).rejects.toMatchObject({
      code: 'VERSION_IN_USE',
      detail: expect.stringContaining('champion'),
    });
    await moveAlias(ports, ada, { ...ref('digits'), alias: 'champion' }, null);
    const use = { pk: `model/${id}`, sk: 'use/0000000001/default/web/1' };
    await ports.table.transact([{ put: { ...use, body: {} }, if: 'absent' }]);
    await expect(remove()).rejects.toMatchObject({
      code: 'VERSION_IN_USE',
      detail: expect.stringContaining('"web"'),
    });
    await ports.table.transact([{ delete: use, if: 'any' }]);
    await remove();
  });

  test('a reference is a version without bytes', async () => {
    await makeModel('digits');
    const made = await createReference(ports, ada, ref('digits'), draft, 's3://elsewhere/model');
    expect(made).toMatchObject({
      number: 1,
      status: 'READY',
      reference: 's3://elsewhere/model',
      fileCount: 0,
    });
    expect(made.commit).toBeUndefined();
  });
});

describe('aliases and approval', () => {
  test('of many movers that expect the same version, one wins', async () => {
    await makeModel('digits');
    for (const n of [1, 2, 3]) await push('digits', { 'n.txt': `${n}` });
    const alias = { ...ref('digits'), alias: 'champion' };
    await moveAlias(ports, ada, alias, 1);
    const moves = await Promise.allSettled(
      [2, 3, 2, 3].map((to) => moveAlias(ports, ada, alias, to, { expected: { version: 1 } })),
    );
    expect(moves.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect((await aliasHistory(ports, ada, alias, { limit: 10 })).items).toHaveLength(2);
  });

  test('every move stays in the history, deletion included', async () => {
    await makeModel('digits');
    await push('digits', { 'n.txt': '1' });
    const alias = { ...ref('digits'), alias: 'champion' };
    await moveAlias(ports, ada, alias, 1, { reason: 'first' });
    await moveAlias(ports, ada, alias, null);
    await expect(getAlias(ports, ada, alias)).rejects.toMatchObject({ code: 'ALIAS_NOT_FOUND' });
    expect((await listAliases(ports, ada, ref('digits'), { limit: 10 })).items).toEqual([]);
    await moveAlias(ports, ada, alias, 1);
    expect((await aliasHistory(ports, ada, alias, { limit: 10 })).items).toMatchObject([
      { seq: 3, from: null, to: 1 },
      { seq: 2, from: 1, to: null },
      { seq: 1, from: null, to: 1, reason: 'first', by: 'ada' },
    ]);
  });

  test('someone other than the author approves, and decisions are compare-and-swap', async () => {
    await makeModel('digits');
    const made = await push('digits', { 'n.txt': '1' });
    const version = { ...ref('digits'), number: 1 };
    await expect(decideApproval(ports, ada, version, { state: 'APPROVED' })).rejects.toMatchObject({
      code: 'SELF_APPROVAL',
    });
    const grace = someone('grace', 'approver');
    const approved = await decideApproval(
      ports,
      grace,
      version,
      { state: 'APPROVED', comment: 'fine' },
      made.rev,
    );
    expect(approved.approval).toMatchObject({ state: 'APPROVED', by: 'grace', comment: 'fine' });
    await expect(
      decideApproval(ports, grace, version, { state: 'REJECTED' }, made.rev),
    ).rejects.toMatchObject({
      code: 'PRECONDITION_FAILED',
    });
  });
});
