import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Api, onnxFile, openApi, V1 } from './api-fixture.ts';

let api: Api;
beforeEach(async () => {
  api = await openApi();
  await api.call('POST', `${V1}/models`, { body: { name: 'digits' } });
  for (let n = 0; n < 2; n++)
    await api.call('POST', `${V1}/models/digits/versions`, { body: { files: [onnxFile] } });
});
afterEach(() => api.close());

const ENDPOINT = `${V1}/endpoints/digits`;
const spec = (version: number) => ({ model: 'digits', target: { version } });
const deploy = () => api.call('POST', `${V1}/endpoints`, { body: { name: 'digits', spec: spec(1) } });

describe('an endpoint', () => {
  test('is made, got, listed, changed and withdrawn', async () => {
    const made = await deploy();
    expect(made.status).toBe(201);
    expect(made.headers.get('location')).toBe(ENDPOINT);
    expect(made.json).toMatchObject({
      name: 'digits',
      generation: 1,
      spec: { model: 'digits', target: { version: 1 }, replicas: 1, strategy: { type: 'all-at-once' } },
      status: { phase: 'idle', traffic: [] },
      url: 'http://localhost/endpoints/default/digits',
    });
    expect((await api.call('GET', ENDPOINT)).json).toEqual(made.json);
    expect((await deploy()).json.code).toBe('ENDPOINT_EXISTS');
    const etag = made.headers.get('etag') ?? '';
    const put = () => api.call('PUT', ENDPOINT, { body: { spec: spec(2) }, headers: { 'if-match': etag } });
    expect((await put()).json).toMatchObject({ generation: 2, spec: { target: { version: 2 } } });
    expect((await put()).json.code).toBe('PRECONDITION_FAILED');
    expect((await api.call('GET', `${V1}/endpoints`)).json.items).toHaveLength(1);
    expect((await api.call('DELETE', `${ENDPOINT}?reason=over`)).status).toBe(204);
    expect((await api.call('GET', ENDPOINT)).json.code).toBe('ENDPOINT_NOT_FOUND');
  });

  test('and the deletion of its model: only one of them happens, however close they come', async () => {
    for (let n = 0; n < 20; n++) {
      const name = `m${n}`;
      await api.call('POST', `${V1}/models`, { body: { name } });
      await api.call('POST', `${V1}/models/${name}/versions`, { body: { files: [onnxFile] } });
      const body = { name, spec: { model: name, target: { version: 1 } } };
      const [made, gone] = await Promise.all([
        api.call('POST', `${V1}/endpoints`, { body }),
        api.call('DELETE', `${V1}/models/${name}`),
      ]);
      expect([made.json.code ?? made.status, gone.json?.code ?? gone.status]).toSatisfy(
        ([first, second]) =>
          (first === 201 && second === 'VERSION_IN_USE') || (first === 'MODEL_NOT_FOUND' && second === 204),
      );
    }
    await deploy();
    expect((await api.call('DELETE', `${V1}/models/digits`)).json.code).toBe('VERSION_IN_USE');
    await api.call('DELETE', ENDPOINT);
    expect((await api.call('DELETE', `${V1}/models/digits`)).status).toBe(204);
  });

  test('tells its rollouts, metrics, logs and alarms', async () => {
    await deploy();
    expect((await api.call('GET', `${ENDPOINT}/rollouts`)).json).toEqual({ items: [] });
    expect((await api.call('POST', `${ENDPOINT}/rollback`, { body: { reason: 'wrong' } })).json.code).toBe(
      'NO_PREVIOUS_REVISION',
    );
    expect((await api.call('POST', `${ENDPOINT}/rollback`)).json.code).toBe('NO_PREVIOUS_REVISION');
    const metrics = await api.call('GET', `${ENDPOINT}/metrics?minutes=5`);
    expect(metrics.json).toMatchObject({
      period: 60,
      from: '2025-12-31T23:55:00.000Z',
      to: '2026-01-01T00:00:00.000Z',
      requests: [],
      revisions: [],
    });
    expect((await api.call('GET', `${ENDPOINT}/metrics?minutes=10080`)).json.period).toBe(3060);
    expect((await api.call('GET', `${ENDPOINT}/logs?limit=5`)).json.items).toEqual([
      { at: '2026-01-01T00:00:00.000Z', revision: 1, replica: 'r1-0', message: 'ready' },
    ]);
    expect((await api.call('GET', `${V1}/alarms`)).json).toEqual({ items: [] });
    for (const path of ['/rollouts', '/metrics', '/logs']) {
      expect((await api.call('GET', `${V1}/endpoints/none${path}`)).json).toMatchObject({
        code: 'ENDPOINT_NOT_FOUND',
        field: 'endpoint',
      });
    }
  });

  test.each([
    [{ model: 'none', target: { version: 1 } }, 'MODEL_NOT_FOUND'],
    [spec(9), 'VERSION_NOT_FOUND'],
    [{ model: 'digits', target: { alias: 'nobody' } }, 'ALIAS_NOT_FOUND'],
    [{ ...spec(1), requireApproval: true }, 'VERSION_NOT_APPROVED'],
  ])('cannot be made of %j', async (wrong, code) => {
    expect(
      (await api.call('POST', `${V1}/endpoints`, { body: { name: 'digits', spec: wrong } })).json.code,
    ).toBe(code);
  });
});
