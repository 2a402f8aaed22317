import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Api, openApi, textFile, V1 } from './api-fixture.ts';

let api: Api;
beforeEach(async () => {
  api = await openApi();
  await api.call('POST', `${V1}/models`, { body: { name: 'digits' } });
  await api.call('POST', `${V1}/models/digits/versions`, { body: { files: [textFile()] } });
});
afterEach(() => api.close());

const MODEL = `${V1}/models/digits`;
const change = (ifMatch: string, path = MODEL) =>
  api.call('PATCH', path, { body: { description: 'new' }, headers: { 'if-match': ifMatch } });

test.each([MODEL, `${MODEL}/versions/1`])('%s changes only if it is what the ETag says', async (path) => {
  const etag = (await api.call('GET', path)).headers.get('etag') ?? '';
  const changed = await change(etag, path);
  expect(changed.status).toBe(200);
  expect(changed.headers.get('etag')).not.toBe(etag);
  expect((await change(etag, path)).json).toMatchObject({
    code: 'PRECONDITION_FAILED',
    status: 412,
    field: 'If-Match',
  });
  expect((await change('*', path)).status).toBe(200);
});

test('a model is deleted only if it is what the ETag says', async () => {
  expect((await api.call('DELETE', MODEL, { headers: { 'if-match': '"9"' } })).json.code).toBe(
    'PRECONDITION_FAILED',
  );
  expect((await api.call('DELETE', MODEL, { headers: { 'if-match': '"1"' } })).status).toBe(204);
});

test('an alias moves only if it is what the ETag says', async () => {
  const put = (ifMatch: string) =>
    api.call('PUT', `${MODEL}/aliases/champion`, { body: { version: 1 }, headers: { 'if-match': ifMatch } });
  expect((await put('*')).json.code).toBe('ALIAS_NOT_FOUND');
  const made = await api.call('PUT', `${MODEL}/aliases/champion`, { body: { version: 1 } });
  expect((await put(made.headers.get('etag') ?? '')).status).toBe(200);
  expect((await put(made.headers.get('etag') ?? '')).json.code).toBe('PRECONDITION_FAILED');
  expect((await put('*')).status).toBe(200);
});

test.each(['3', 'W/"1"', '"a"', '"1", "2"', '""', '"01"'])('If-Match: %s is malformed', async (ifMatch) => {
  expect((await change(ifMatch)).json).toMatchObject({
    code: 'INVALID_ARGUMENT',
    status: 400,
    field: 'If-Match',
  });
});
