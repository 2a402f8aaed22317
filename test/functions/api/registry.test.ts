import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Api, everything, openApi, textFile, V1 } from './api-fixture.ts';

const ONNX = join(import.meta.dirname, '../../models/digits/digits-v1.onnx');
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

let api: Api;
beforeEach(async () => {
  api = await openApi();
});
afterEach(() => api.close());

const makeModel = (name = 'digits') => api.call('POST', `${V1}/models`, { body: { name } });
const makeVersion = (model = 'digits', files: object[] = [textFile()]) =>
  api.call('POST', `${V1}/models/${encodeURIComponent(model)}/versions`, { body: { files } });

describe('workspaces', () => {
  test('are made, got and listed', async () => {
    const made = await api.call('POST', '/api/v1/workspaces', {
      body: { name: 'research', description: 'Trials' },
    });
    expect(made.status).toBe(201);
    expect(made.headers.get('location')).toBe('/api/v1/workspaces/research');
    expect((await api.call('GET', '/api/v1/workspaces/research')).json).toEqual(made.json);
    const { json } = await api.call('GET', '/api/v1/workspaces');
    expect(json.items.map(({ name }: { name: string }) => name)).toEqual(['default', 'research']);
    expect((await api.call('POST', '/api/v1/workspaces', { body: { name: 'research' } })).json.code).toBe(
      'WORKSPACE_EXISTS',
    );
    expect((await api.call('GET', '/api/v1/workspaces/nowhere')).json).toMatchObject({
      code: 'WORKSPACE_NOT_FOUND',
      field: 'workspace',
    });
  });
});

describe('models', () => {
  test('are made, got, changed, listed and deleted', async () => {
    const made = await api.call('POST', `${V1}/models`, {
      body: { name: 'digits', description: 'Digits', tags: { a: '1' } },
    });
    expect(made.status).toBe(201);
    expect(made.headers.get('etag')).toBe('"1"');
    expect(made.json).toMatchObject({
      workspace: 'default',
      name: 'digits',
      createdBy: 'admin',
      createdAt: '2026-01-01T00:00:00.000Z',
    });
    expect((await api.call('GET', `${V1}/models/digits`)).json).toEqual(made.json);
    const changed = await api.call('PATCH', `${V1}/models/digits`, {
      body: { name: 'numbers', tags: { a: null, b: '2' } },
    });
    expect(changed.json).toMatchObject({
      id: made.json.id,
      name: 'numbers',
      description: 'Digits',
      tags: { b: '2' },
    });
    expect(changed.headers.get('etag')).toBe('"2"');
    expect((await api.call('GET', `${V1}/models/digits`)).json.code).toBe('MODEL_NOT_FOUND');
    expect((await api.call('GET', `${V1}/models?prefix=num`)).json.items).toHaveLength(1);
    expect((await api.call('DELETE', `${V1}/models/numbers?reason=over`)).status).toBe(204);
    expect((await api.call('GET', `${V1}/models`)).json).toEqual({ items: [] });
  });

  test.each(['Ziffern im Bild', '数字認識', 'cafe\u0301', 'a.b+c&d=e?#%', '😀 model', '%2F', 'v1'])(
    'are reached by the name %j',
    async (name) => {
      const made = await makeModel(name);
      expect(made.status).toBe(201);
      expect(made.json.name).toBe(name.normalize('NFC'));
      expect((await api.call('GET', made.headers.get('location') ?? '')).json).toEqual(made.json);
      const path = `${V1}/models/${encodeURIComponent(name)}`;
      expect((await api.call('GET', path)).json).toEqual(made.json);
      const version = await makeVersion(name);
      expect(version.json.model).toBe(name.normalize('NFC'));
      expect((await api.call('PUT', `${path}/aliases/champion`, { body: { version: 1 } })).status).toBe(200);
    },
  );

  test('the repository is a Git bundle', async () => {
    await makeModel();
    expect((await api.call('GET', `${V1}/models/digits/repository.bundle`)).json.code).toBe(
      'VERSION_NOT_FOUND',
    );
    await makeVersion();
    const bundle = await api.call('GET', `${V1}/models/digits/repository.bundle`);
    expect(bundle.headers.get('content-type')).toBe('application/x-git-bundle');
    expect(bundle.json).toMatch(/^# v2 git bundle\n[0-9a-f]{40} HEAD\n/);
  });

  test('search finds them by name, description and tags', async () => {
    await api.call('POST', `${V1}/models`, { body: { name: 'Digits', description: 'Handwriting' } });
    await api.call('POST', `${V1}/models`, { body: { name: 'faces', tags: { team: 'Vision' } } });
    const find = async (q: string) =>
      (await api.call('GET', `/api/v1/search?q=${q}`)).json.items.map((m: { name: string }) => m.name);
    expect(await find('handw')).toEqual(['Digits']);
    expect(await find('vision')).toEqual(['faces']);
    expect(await find('i')).toEqual(['Digits', 'faces']);
    expect(await find('zebra')).toEqual([]);
  });
});

describe('versions', () => {
  test('are made from files in the request, with what the files say', async () => {
    await makeModel();
    const bytes = await readFile(ONNX);
    const made = await api.call('POST', `${V1}/models/digits/versions`, {
      body: {
        files: [
          { path: 'model.onnx', content: bytes.toString('base64'), sha256: sha256(bytes) },
          textFile('# Card', 'docs/README.md'),
        ],
        message: 'First',
        source: { run: 'run-1' },
      },
    });
    expect(made.status).toBe(201);
    expect(made.headers.get('location')).toBe(`${V1}/models/digits/versions/1`);
    expect(made.json).toMatchObject({
      version: 1,
      tag: 'v1',
      status: 'READY',
      author: 'admin',
      message: 'First',
      fileCount: 2,
      format: 'onnx',
      entry: 'model.onnx',
      source: { via: 'api', run: 'run-1' },
      approval: { state: 'PENDING' },
      signature: { inputs: [{ name: 'image' }] },
    });
    expect((await api.call('GET', `${V1}/models/digits/versions/1`)).json).toEqual(made.json);
    expect((await api.call('GET', `${V1}/models/digits/versions/v1`)).json).toEqual(made.json);
  });

  test('can be a reference, which has no bytes', async () => {
    await makeModel();
    const made = await api.call('POST', `${V1}/models/digits/versions`, {
      body: { reference: 'hdfs://lake/model' },
    });
    expect(made.json).toMatchObject({ reference: 'hdfs://lake/model', status: 'READY', fileCount: 0 });
    expect((await api.call('GET', `${V1}/models/digits/versions/1/files`)).json).toEqual({ items: [] });
    expect((await api.call('GET', `${V1}/models/digits/versions/1/files/x`)).json.code).toBe(
      'VERSION_WITHOUT_BYTES',
    );
  });

  test('keep their number when they are deleted', async () => {
    await makeModel();
    await makeVersion();
    await makeVersion();
    expect(
      (
        await api.call('PATCH', `${V1}/models/digits/versions/1`, {
          body: { description: 'Old', tags: { x: 'y' } },
        })
      ).json,
    ).toMatchObject({ description: 'Old', tags: { x: 'y' } });
    await api.call('PUT', `${V1}/models/digits/aliases/champion`, { body: { version: 1 } });
    expect((await api.call('DELETE', `${V1}/models/digits/versions/1`)).json.code).toBe('VERSION_IN_USE');
    expect((await api.call('DELETE', `${V1}/models/digits/versions/2?reason=bad`)).status).toBe(204);
    expect((await api.call('GET', `${V1}/models/digits/versions/2`)).json.code).toBe('VERSION_NOT_FOUND');
    expect((await makeVersion()).json.version).toBe(3);
    const { json } = await api.call('GET', `${V1}/models/digits/versions`);
    expect(json.items.map((v: { version: number }) => v.version)).toEqual([3, 1]);
  });

  test('give their files by signed URLs, whatever the path', async () => {
    await makeModel();
    const paths = ['a/b c/ü.txt', 'notes.txt', '100%.txt'];
    await makeVersion(
      'digits',
      paths.map((path) => textFile(path, path)),
    );
    const { json } = await api.call('GET', `${V1}/models/digits/versions/1/files`);
    expect(json.items.map((file: { path: string }) => file.path).toSorted()).toEqual(paths.toSorted());
    for (const path of paths) {
      for (const encoded of [path.split('/').map(encodeURIComponent).join('/'), encodeURIComponent(path)]) {
        const moved = await api.call('GET', `${V1}/models/digits/versions/1/files/${encoded}`);
        expect(moved.status).toBe(302);
        const file = await fetch(moved.headers.get('location') ?? '', { headers: { range: 'bytes=0-2' } });
        expect(file.status).toBe(206);
        expect(Buffer.from(await file.arrayBuffer())).toEqual(Buffer.from(path).subarray(0, 3));
      }
    }
    const told = await api.call('GET', `${V1}/models/digits/versions/1/files/notes.txt?redirect=false`);
    expect(told.json).toMatchObject({
      size: 9,
      sha256: sha256(Buffer.from('notes.txt')),
      expiresAt: '2026-01-01T01:00:00.000Z',
    });
    expect((await api.call('GET', `${V1}/models/digits/versions/1/files/none`)).json).toMatchObject({
      code: 'FILE_NOT_FOUND',
      field: 'path',
    });
    const head = await api.app.request(`${V1}/models/digits/versions/1/files/notes.txt`, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${api.admin}` },
    });
    expect(head.status).toBe(302);
  });
});

describe('uploads', () => {
  const bytes = Buffer.from('weights');
  const files = [{ path: 'w.bin', size: bytes.length, sha256: sha256(bytes) }];
  const begin = () => api.call('POST', `${V1}/models/digits/uploads`, { body: { files, message: 'Big' } });

  test('a version is sent part by part, resumed and completed', async () => {
    await makeModel();
    const made = await begin();
    expect(made.status).toBe(201);
    expect(made.json).toMatchObject({
      version: 1,
      state: 'OPEN',
      files: [{ path: 'w.bin', parts: 1, done: false, received: [] }],
    });
    const path = made.headers.get('location') ?? '';
    expect((await api.call('POST', `${path}/complete`)).json.code).toBe('UPLOAD_INCOMPLETE');
    const parts = await api.call('POST', `${path}/parts`, { body: { path: 'w.bin' } });
    expect(parts.json.items).toHaveLength(1);
    expect((await fetch(parts.json.items[0].url, { method: 'PUT', body: bytes })).ok).toBe(true);
    expect((await api.call('GET', path)).json.files[0].received).toEqual([1]);
    const done = await api.call('POST', `${path}/complete`);
    expect(done.json).toMatchObject({
      version: 1,
      status: 'READY',
      message: 'Big',
      source: { via: 'upload' },
    });
    expect((await api.call('POST', `${path}/complete`)).json).toEqual(done.json);
    expect((await begin()).json.files[0].done).toBe(true);
  });

  test('one that is given up leaves a FAILED version', async () => {
    await makeModel();
    const path = (await begin()).headers.get('location') ?? '';
    expect((await api.call('DELETE', path)).status).toBe(204);
    expect((await api.call('GET', `${V1}/models/digits/versions/1`)).json).toMatchObject({
      status: 'FAILED',
    });
    expect((await api.call('POST', `${path}/parts`, { body: { path: 'w.bin' } })).json.code).toBe(
      'UPLOAD_NOT_FOUND',
    );
  });

  test('takes thousands of files in one request', async () => {
    await makeModel();
    const many = Array.from({ length: 20_000 }, (_, n) => ({
      path: `part-${n}.bin`,
      size: 1,
      sha256: sha256(Buffer.from(`${n}`)),
    }));
    const body = { files: many };
    expect(JSON.stringify(body).length).toBeGreaterThan(2_000_000);
    const key = { 'idempotency-key': 'many' };
    const made = await api.call('POST', `${V1}/models/digits/uploads`, { body, headers: key });
    expect(made.status).toBe(201);
    const again = await api.call('POST', `${V1}/models/digits/uploads`, { body, headers: key });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.json).toEqual(made.json);
  });
});

describe('aliases', () => {
  test('move, tell the version, keep their history and go', async () => {
    await makeModel();
    await makeVersion();
    await makeVersion();
    const path = `${V1}/models/digits/aliases/champion`;
    expect((await api.call('PUT', path, { body: { version: 1, expectedVersion: null } })).json).toMatchObject(
      { alias: 'champion', version: 1, movedBy: 'admin' },
    );
    expect((await api.call('PUT', path, { body: { version: 2, expectedVersion: 3 } })).json).toMatchObject({
      code: 'ALIAS_CONFLICT',
      field: 'expectedVersion',
    });
    await api.call('PUT', path, { body: { version: 2, expectedVersion: 1, reason: 'Better' } });
    const got = await api.call('GET', path);
    expect(got.json).toMatchObject({ version: 2, modelVersion: { version: 2, tag: 'v2', status: 'READY' } });
    expect((await api.call('GET', `${V1}/models/digits/aliases`)).json.items).toHaveLength(1);
    expect((await api.call('DELETE', `${path}?expectedVersion=2&reason=over`)).status).toBe(204);
    expect((await api.call('GET', path)).json.code).toBe('ALIAS_NOT_FOUND');
    const { json } = await api.call('GET', `${path}/history`);
    expect(json.items.map(({ from, to }: { from: number; to: number }) => [from, to])).toEqual([
      [2, null],
      [1, 2],
      [null, 1],
    ]);
    expect(json.items[1].reason).toBe('Better');
  });
});

describe('approvals', () => {
  test('are decided by another than the author, and all are kept', async () => {
    await makeModel();
    await makeVersion();
    const path = `${V1}/models/digits/versions/1/approval`;
    const grace = await api.token('grace', everything('approver'));
    expect((await api.call('POST', path, { body: { state: 'APPROVED' } })).json.code).toBe('SELF_APPROVAL');
    await api.call('POST', path, { token: grace, body: { state: 'REJECTED', comment: 'No card' } });
    const approved = await api.call('POST', path, { token: grace, body: { state: 'APPROVED' } });
    expect(approved.json.approval).toEqual({
      state: 'APPROVED',
      by: 'grace',
      at: '2026-01-01T00:00:00.000Z',
    });
    const { json } = await api.call('GET', path);
    expect(json.items.map(({ state }: { state: string }) => state)).toEqual(['APPROVED', 'REJECTED']);
    expect(json.items[1]).toMatchObject({ comment: 'No card', by: 'grace' });
  });
});
