import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, openApi, textFile, V1 } from './api-fixture.ts';

let api: Api;
beforeAll(async () => {
  api = await openApi();
  await api.call('POST', `${V1}/models`, { body: { name: 'digits' } });
  await api.call('POST', `${V1}/models/digits/versions`, { body: { files: [textFile()] } });
});
afterAll(() => api.close());

const MODELS = `${V1}/models`;
const VERSIONS = `${MODELS}/digits/versions`;
const files = (...paths: string[]) => ({ files: paths.map((path) => textFile('x', path)) });
const LONG = 'a'.repeat(256);
const SHA = 'a'.repeat(64);

test('a body that ends with its connection is the client’s fault, and no fault in the log', async () => {
  const headers = { authorization: `Bearer ${api.admin}`, 'content-type': 'application/json' };
  for (const length of [{}, { 'content-length': '100' }]) {
    const body = new ReadableStream({
      pull: (controller) => controller.error(Object.assign(new Error('aborted'), { code: 'ECONNRESET' })),
    });
    const init = { method: 'POST', headers: { ...headers, ...length }, body, duplex: 'half' as const };
    const answer = await api.app.request(MODELS, init);
    expect([answer.status, await answer.json()]).toMatchObject([400, { field: 'body' }]);
  }
  expect(api.log.filter(({ level }) => level === 'error')).toEqual([]);
});

describe('a body is refused by the name of its first wrong field', () => {
  test.each([
    ['an empty name', MODELS, { name: '' }, 'name'],
    ['a blank name', MODELS, { name: '  ' }, 'name'],
    ['a name of 256 characters', MODELS, { name: LONG }, 'name'],
    ['a name of over 255 bytes', MODELS, { name: 'ü'.repeat(128) }, 'name'],
    ['a name with a slash', MODELS, { name: 'a/b' }, 'name'],
    ['a name that is ..', MODELS, { name: '..' }, 'name'],
    ['a name with NUL', MODELS, { name: 'a\0b' }, 'name'],
    ['half a surrogate pair', MODELS, { name: 'a\ud800' }, 'name'],
    ['half a surrogate pair in a description', MODELS, { name: 'a', description: '\ud800' }, 'description'],
    ['half a surrogate pair in a tag', MODELS, { name: 'a', tags: { x: 'a\udfff' } }, 'tags.x'],
    ['half a surrogate pair in a tag’s key', MODELS, { name: 'a', tags: { '\ud800': 'x' } }, 'tags'],
    [
      'half a surrogate pair in a source',
      VERSIONS,
      { ...files('a'), source: { run: '\ud800' } },
      'source.run',
    ],
    ['half a surrogate pair in a reference', VERSIONS, { reference: 'x:\ud800' }, 'reference'],
    [
      'half a surrogate pair in a spec',
      `${V1}/endpoints`,
      { name: 'e', spec: { model: '\ud800', target: { version: 1 } } },
      'spec.model',
    ],
    [
      'half a surrogate pair in a principal',
      '/api/v1/tokens',
      { principal: '\ud800', grants: [] },
      'principal',
    ],
    ['no name', MODELS, {}, 'name'],
    ['a name that is a number', MODELS, { name: 7 }, 'name'],
    ['tags that are a list', MODELS, { name: 'a', tags: [] }, 'tags'],
    ['a tag that is a number', MODELS, { name: 'a', tags: { x: 1 } }, 'tags.x'],
    ['an unknown field', MODELS, { name: 'a', descripton: '' }, 'descripton'],
    ['a body that is a list', MODELS, [], 'body'],
    ['a body that is null', MODELS, null, 'body'],
    ['no files', VERSIONS, {}, 'files'],
    ['an empty list of files', VERSIONS, { files: [] }, 'files'],
    ['files and a reference', VERSIONS, { ...files('a'), reference: 'x:y' }, 'files'],
    ['an absolute path', VERSIONS, files('ok', '/etc/passwd'), 'files.1.path'],
    ['a path with ..', VERSIONS, files('a/../b'), 'files.0.path'],
    ['a path with an empty part', VERSIONS, files('a//b'), 'files.0.path'],
    ['a path with NUL', VERSIONS, files('a\0'), 'files.0.path'],
    ['a path with a backslash', VERSIONS, files('a\\b'), 'files.0.path'],
    ['a path into .git', VERSIONS, files('.git/config'), 'files.0.path'],
    ['a path twice', VERSIONS, files('a', 'a'), 'files'],
    ['content that is not base64', VERSIONS, { files: [{ path: 'a', content: '%%%' }] }, 'files.0.content'],
    ['content and text', VERSIONS, { files: [{ path: 'a', content: '', text: '' }] }, 'files.0.content'],
    ['an unknown field of a file', VERSIONS, { files: [{ path: 'a', txt: '' }] }, 'files.0.txt'],
    ['a digest that is none', VERSIONS, { files: [{ ...textFile(), sha256: 'abc' }] }, 'files.0.sha256'],
    ['an unknown field of the source', VERSIONS, { ...files('a'), source: { runn: 'x' } }, 'source.runn'],
    [
      'a negative size',
      `${MODELS}/digits/uploads`,
      { files: [{ path: 'a', size: -1, sha256: SHA }] },
      'files.0.size',
    ],
    [
      'half a byte',
      `${MODELS}/digits/uploads`,
      { files: [{ path: 'a', size: 0.5, sha256: SHA }] },
      'files.0.size',
    ],
    [
      'a role that is none',
      '/api/v1/tokens',
      { principal: 'x', grants: [{ role: 'boss', workspace: '*' }] },
      'grants.0.role',
    ],
    ['no grants', '/api/v1/tokens', { principal: 'x', grants: [] }, 'grants'],
    [
      'an expiry that is none',
      '/api/v1/tokens',
      { principal: 'x', grants: [{ role: 'viewer', workspace: '*' }], expiresAt: 'soon' },
      'expiresAt',
    ],
    [
      'an expiry that is past',
      '/api/v1/tokens',
      { principal: 'x', grants: [{ role: 'viewer', workspace: '*' }], expiresAt: '2025-01-01T00:00:00Z' },
      'expiresAt',
    ],
    [
      'a principal of Cairn’s own',
      '/api/v1/tokens',
      { principal: 'system:x', grants: [{ role: 'viewer', workspace: '*' }] },
      'principal',
    ],
    ['a workspace in upper case', '/api/v1/workspaces', { name: 'Big' }, 'name'],
    [
      'an unknown field of a spec',
      `${V1}/endpoints`,
      { name: 'e', spec: { model: 'digits', target: { version: 1 }, replica: 2 } },
      'spec.replica',
    ],
    ['no target', `${V1}/endpoints`, { name: 'e', spec: { model: 'digits' } }, 'spec.target'],
    [
      'two targets',
      `${V1}/endpoints`,
      { name: 'e', spec: { model: 'digits', target: { version: 1, alias: 'a' } } },
      'spec.target',
    ],
    ['no spec', `${V1}/endpoints`, { name: 'e' }, 'spec'],
    [
      'force without a reason',
      `${V1}/endpoints`,
      { name: 'e', force: true, spec: { model: 'digits', target: { version: 1 } } },
      'reason',
    ],
  ])('%s', async (_, path, body, field) => {
    const { status, json } = await api.call('POST', path, { body });
    expect(json).toMatchObject({ code: 'INVALID_ARGUMENT', field });
    expect(status).toBe(400);
    expect(json.detail).toContain(field === 'body' ? 'body' : field.split('.').at(-1));
  });

  test('a mistyped field gets a hint', async () => {
    const hint = async (path: string, body: object) => (await api.call('POST', path, { body })).json.detail;
    expect(await hint(MODELS, { name: 'a', descripton: '' })).toContain('Did you mean "description"?');
    expect(await hint(VERSIONS, { files: [{ path: 'a', contnet: '' }] })).toContain(
      'Did you mean "content"?',
    );
    expect(await hint(VERSIONS, { ...files('a'), source: { runn: 'x' } })).toContain('Did you mean "run"?');
    expect(await hint(MODELS, { name: 'a', zzz: '' })).not.toContain('Did you mean');
  });

  test('nothing of it is kept', async () => {
    expect((await api.call('GET', MODELS)).json.items).toHaveLength(1);
    expect((await api.call('GET', VERSIONS)).json.items).toHaveLength(1);
  });
});

describe('files that are not what they say', () => {
  test('a wrong digest', async () => {
    const { json } = await api.call('POST', VERSIONS, { body: { files: [{ ...textFile(), sha256: SHA }] } });
    expect(json).toMatchObject({ code: 'DIGEST_MISMATCH', status: 422, field: 'files' });
  });

  test('a truncated ONNX file', async () => {
    const content = Buffer.from([0x08, 0x08, 0x3a, 0x7f, 0x0a]).toString('base64');
    const { json } = await api.call('POST', VERSIONS, { body: { files: [{ path: 'model.onnx', content }] } });
    expect(json).toMatchObject({ code: 'MODEL_FILE_INVALID', status: 422 });
  });

  test('a strategy that is not there yet', async () => {
    const spec = { model: 'digits', target: { version: 1 }, strategy: { type: 'blue-green' } };
    const { json } = await api.call('POST', `${V1}/endpoints`, { body: { name: 'e', spec } });
    expect(json).toMatchObject({ code: 'NOT_SUPPORTED', status: 422, field: 'spec.strategy.type' });
  });
});

describe('a path is refused by the name of its parameter', () => {
  const long = encodeURIComponent('ü'.repeat(128));
  test.each([
    [`${MODELS}/${LONG}`, 'model'],
    [`${MODELS}/${long}`, 'model'],
    [`${MODELS}/a%2Fb`, 'model'],
    [`${MODELS}/a%00b`, 'model'],
    [`${MODELS}/%20`, 'model'],
    [`${MODELS}/%zz`, 'model'],
    [`${MODELS}/%ff`, 'model'],
    [`${MODELS}/%e4%b8`, 'model'],
    [`${MODELS}//versions`, 'model'],
    [`${MODELS}/`, 'model'],
    [`${MODELS}/digits/versions/`, 'version'],
    ['/api/v1/workspaces/Big/models', 'workspace'],
    [`${VERSIONS}/0`, 'version'],
    [`${VERSIONS}/-1`, 'version'],
    [`${VERSIONS}/latest`, 'version'],
    [`${VERSIONS}/99999999999`, 'version'],
    [`${MODELS}/digits/aliases/v3`, 'alias'],
    [`${MODELS}/digits/aliases/latest`, 'alias'],
    [`${MODELS}/digits/uploads/nope`, 'upload'],
    [`${VERSIONS}/1/files/a%2F%2Fb`, 'path'],
    [`${VERSIONS}/1/files/%2Fetc`, 'path'],
    [`${VERSIONS}/1/files/a%2F..%2Fb`, 'path'],
    [`${VERSIONS}/1/files/a//b`, 'path'],
    [`${V1}/endpoints/Upper`, 'endpoint'],
  ])('%s', async (path, field) => {
    const { json } = await api.call('GET', path);
    expect(json).toMatchObject({ code: 'INVALID_ARGUMENT', field, status: 400 });
  });

  test.each([
    [`${MODELS}/..`, 'model'],
    [`${MODELS}/.`, 'model'],
    [`${MODELS}/%2e%2E`, 'model'],
    [`${MODELS}/../versions`, 'model'],
    [`${VERSIONS}/1/files/a/../b`, 'path'],
    [`${VERSIONS}/1/files/%2e%2e/%2e%2e/x`, 'path'],
  ])('%s, which a URL parser would take for another path', async (target, field) => {
    const headers = { authorization: `Bearer ${api.admin}` };
    const response = await api.app.request(target, { headers }, { incoming: { url: target } });
    expect(await response.json()).toMatchObject({ code: 'INVALID_ARGUMENT', field, status: 400 });
  });
});

describe('a query is refused by the name of its parameter', () => {
  test.each([
    [`${MODELS}?limit=0`, 'limit'],
    [`${MODELS}?limit=1001`, 'limit'],
    [`${MODELS}?limit=ten`, 'limit'],
    [`${MODELS}?limit=`, 'limit'],
    [`${MODELS}?limit=1&limit=2`, 'limit'],
    [`${MODELS}?cursor=%20`, 'cursor'],
    [`${MODELS}?cursor=_w`, 'cursor'],
    [`${MODELS}?page=2`, 'page'],
    [`${MODELS}/digits?verbose=1`, 'verbose'],
    ['/api/v1/search', 'q'],
    [`${VERSIONS}/1/files/notes.txt?redirect=maybe`, 'redirect'],
    [`${V1}/audit?before=yesterday`, 'before'],
    [`${V1}/audit?resource=all`, 'resource'],
    [`${V1}/endpoints/e/metrics?minutes=0`, 'minutes'],
    [`${V1}/endpoints/e/logs?revision=x`, 'revision'],
  ])('%s', async (path, field) => {
    expect((await api.call('GET', path)).json).toMatchObject({
      code: 'INVALID_ARGUMENT',
      field,
      status: 400,
    });
  });
});

describe('a request that cannot be read', () => {
  const post = (options: Parameters<Api['call']>[2]) => api.call('POST', MODELS, options);

  test('malformed JSON', async () => {
    expect((await post({ raw: '{"name": ' })).json).toMatchObject({
      code: 'INVALID_ARGUMENT',
      field: 'body',
    });
    expect((await post({ raw: new Uint8Array([0x22, 0xff, 0x22]) })).json).toMatchObject({
      code: 'INVALID_ARGUMENT',
      field: 'body',
    });
    expect((await post({})).json).toMatchObject({ code: 'INVALID_ARGUMENT', field: 'body' });
  });

  test('another type than JSON', async () => {
    expect((await post({ raw: 'name=a', headers: { 'content-type': 'text/plain' } })).json).toMatchObject({
      code: 'UNSUPPORTED_MEDIA_TYPE',
      field: 'Content-Type',
    });
    expect(
      (
        await post({
          body: { name: 'typed' },
          headers: { 'content-type': 'application/json; charset=utf-8' },
        })
      ).status,
    ).toBe(201);
  });

  test('a body over 6 MB, announced or not', async () => {
    const raw = JSON.stringify({ name: 'a', description: 'x'.repeat(6_000_000) });
    expect((await post({ raw, headers: { 'content-length': String(raw.length) } })).json).toMatchObject({
      code: 'TOO_LARGE',
      status: 413,
    });
    expect((await post({ raw })).json).toMatchObject({ code: 'TOO_LARGE', status: 413 });
  });

  test('a route or a method that is not there', async () => {
    expect((await api.call('GET', '/api/v1/nothing')).json).toMatchObject({ code: 'NOT_FOUND', status: 404 });
    expect((await api.call('GET', '/elsewhere')).json).toMatchObject({ code: 'NOT_FOUND' });
    const wrong = await api.call('PUT', `${MODELS}/digits`);
    expect(wrong.json).toMatchObject({ code: 'METHOD_NOT_ALLOWED', status: 405 });
    expect(wrong.headers.get('allow')).toBe('GET, PATCH, DELETE, HEAD');
    expect((await api.call('DELETE', MODELS)).headers.get('allow')).toBe('GET, POST, HEAD');
  });
});
