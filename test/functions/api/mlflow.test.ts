import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Table } from '../../../shared/ports/table.ts';
import { keyPart, loggedModelPartition, TAG_PREFIX } from '../../../shared/tracking/keys.ts';
import { logBatch } from '../../../shared/tracking/log-batch.ts';
import { editLoggedModelTag } from '../../../shared/tracking/logged-model.ts';
import { someone } from '../../support/local-ports.ts';
import { DIGITS_ONNX, type MlflowApi, openMlflow } from './mlflow-fixture.ts';

let api: MlflowApi;
beforeAll(async () => {
  api = await openMlflow();
});
afterAll(() => api.close());

describe('a version of a run', () => {
  test('is a commit of its artifacts, hard-linked and not copied', async () => {
    const { run, root } = await api.run();
    await api.put(`${root}/model/model.onnx`, DIGITS_ONNX);
    await api.put(`${root}/model/MLmodel`, Buffer.from('flavors:\n  onnx:\n    data: model.onnx\n'));
    await api.put(`${root}/other.txt`, Buffer.from('not of the model'));
    await api.post('registered-models/create', { name: 'linked' });
    const source = `runs:/${run}/model`;
    const { json } = await api.post('model-versions/create', { name: 'linked', source, run_id: run });
    expect(json.model_version).toMatchObject({ version: '1', status: 'READY', run_id: run, source });
    const files = (await api.native('GET', 'models/linked/versions/1/files')).json.items;
    expect(files.map(({ path }: { path: string }) => path)).toEqual(['MLmodel', 'model.onnx']);
    const version = (await api.native('GET', 'models/linked/versions/1')).json;
    expect(version).toMatchObject({
      framework: 'onnx',
      signature: { kind: 'tensor' },
      source: { via: 'mlflow', run },
    });
    const objects = await readdir(join(api.ports.dir, 'blobs/objects'), {
      recursive: true,
      withFileTypes: true,
    });
    const links = await Promise.all(
      objects.filter((entry) => entry.isFile()).map((entry) => stat(join(entry.parentPath, entry.name))),
    );
    const onnx = links.filter(({ size }) => size === DIGITS_ONNX.length);
    expect(onnx.map(({ nlink }) => nlink)).toEqual([2, 2]);
  });

  test('does not change when the run’s artifacts do', async () => {
    const { run, root } = await api.run();
    await api.put(`${root}/weights.bin`, Buffer.from('first'));
    await api.post('registered-models/create', { name: 'steady' });
    await api.post('model-versions/create', { name: 'steady', source: `runs:/${run}/`, run_id: run });
    await api.put(`${root}/weights.bin`, Buffer.from('second'));
    await api.call('DELETE', `mlflow-artifacts/artifacts/${root}/weights.bin`);
    const { json } = await api.get('model-versions/get-download-uri?name=steady&version=1');
    const answer = await api.fetch(`${json.artifact_uri}/weights.bin`);
    expect(await answer.text()).toBe('first');
  });

  test('cannot be written or deleted by the door that shows its files', async () => {
    const { json } = await api.get('model-versions/get-download-uri?name=steady&version=1');
    const path = new URL(json.artifact_uri).pathname.replace('/api/2.0/', '');
    for (const method of ['PUT', 'DELETE'])
      expect(await api.call(method, `${path}/weights.bin`)).toMatchObject({
        json: { error_code: 'RESOURCE_CONFLICT' },
      });
  });

  test('keeps its number and is found by its run', async () => {
    const { run } = await api.run();
    await api.post('registered-models/create', { name: 'found' });
    await api.post('model-versions/create', { name: 'found', source: 's3://a/b' });
    await api.post('model-versions/create', { name: 'found', source: 's3://a/c', run_id: run });
    const filter = encodeURIComponent(`run_id = '${run}'`);
    const { json } = await api.get(`model-versions/search?filter=${filter}`);
    expect(json.model_versions).toMatchObject([{ name: 'found', version: '2' }]);
  });
});

test('a filter finds tags that are there, also under a name that every JavaScript object knows', async () => {
  await api.post('registered-models/create', { name: 'plain' });
  const tags = [{ key: 'toString', value: 'x' }];
  await api.post('registered-models/create', { name: 'tagged', tags });
  await api.post('experiments/create', { name: 'plain' });
  const filter = "tags.toString LIKE '%'";
  const models = await api.get(`registered-models/search?filter=${encodeURIComponent(filter)}`);
  expect(models.json.registered_models).toMatchObject([{ name: 'tagged' }]);
  const versions = await api.get(`model-versions/search?filter=${encodeURIComponent(filter)}`);
  expect(versions.json).toEqual({});
  expect((await api.post('experiments/search', { filter, max_results: 5 })).json).toEqual({});
});

const LISTED = `registered-models/search?filter=${encodeURIComponent("name LIKE 'listed%'")}`;

test('a list of models shows every change of theirs at once', async () => {
  await api.post('registered-models/create', { name: 'listed' });
  const listed = async () => (await api.get(LISTED)).json.registered_models[0];
  expect(await listed()).toEqual((await api.get('registered-models/get?name=listed')).json.registered_model);
  await api.post('model-versions/create', { name: 'listed', source: 's3://a/b' });
  expect((await listed()).latest_versions).toMatchObject([{ version: '1', description: '' }]);
  await api.call('PATCH', 'model-versions/update', {
    body: { name: 'listed', version: '1', description: 'new' },
  });
  expect((await listed()).latest_versions).toMatchObject([{ version: '1', description: 'new' }]);
  await api.post('registered-models/alias', { name: 'listed', alias: 'champion', version: '1' });
  expect((await listed()).aliases).toEqual([{ alias: 'champion', version: '1' }]);
  await api.post('model-versions/transition-stage', { name: 'listed', version: '1', stage: 'Production' });
  expect((await listed()).latest_versions).toMatchObject([{ current_stage: 'Production' }]);
  await api.call('DELETE', 'registered-models/alias', { body: { name: 'listed', alias: 'champion' } });
  expect((await listed()).aliases).toBeUndefined();
});

test('a version keeps what its run had logged when it was made, and the run keeps the rest', async () => {
  const { run, root } = await api.run();
  const long = 'x'.repeat(501);
  await api.post('runs/log-batch', {
    run_id: run,
    params: [
      { key: 'depth', value: '3' },
      { key: 'query', value: long },
    ],
    metrics: [
      { key: 'accuracy', value: 0.97, timestamp: 1, step: 0 },
      { key: 'loss', value: 'NaN', timestamp: 1, step: 0 },
    ],
  });
  for (const name of ['MLmodel', 'requirements.txt', 'input_example.json'])
    await api.put(`${root}/model/${name}`, Buffer.from('flavors: {}\n'));
  await api.post('registered-models/create', { name: 'traced' });
  const body = { name: 'traced', source: `runs:/${run}/model`, run_id: run };
  expect((await api.post('model-versions/create', body)).json.model_version.status).toBe('READY');
  await api.post('runs/log-batch', { run_id: run, params: [{ key: 'late', value: '1' }] });
  const { json } = await api.native('GET', 'models/traced/versions/1');
  expect(json.source).toMatchObject({
    run,
    lineage: {
      params: { depth: '3' },
      metrics: { accuracy: 0.97, loss: 'NaN' },
      omitted: 1,
      environment: ['requirements.txt'],
      inputExample: 'input_example.json',
    },
  });
  expect(json.source.lineage.params).toEqual({ depth: '3' });
});

test('a source that Cairn cannot read makes a reference, which is not deployed', async () => {
  await api.post('registered-models/create', { name: 'foreign' });
  await api.post('model-versions/create', { name: 'foreign', source: 's3://bucket/model' });
  const { json } = await api.native('GET', 'models/foreign/versions/1');
  expect(json).toMatchObject({ status: 'READY', reference: 's3://bucket/model', fileCount: 0 });
  const spec = { model: 'foreign', target: { version: 1 }, strategy: { type: 'all-at-once' } };
  const refused = await api.native('POST', 'endpoints', { name: 'foreign', spec });
  expect(refused.json).toMatchObject({ code: 'VERSION_WITHOUT_BYTES' });
});

describe('who may what', () => {
  test('a viewer reads and does not write', async () => {
    const viewer = await api.token('viewer');
    const { root } = await api.run();
    const asViewer = { token: viewer };
    expect((await api.get('registered-models/search', asViewer)).status).toBe(200);
    for (const refused of [
      await api.post('registered-models/create', { name: 'x' }, asViewer),
      await api.post('experiments/create', { name: 'x' }, asViewer),
      await api.post('runs/create', {}, asViewer),
      await api.call('PUT', `mlflow-artifacts/artifacts/${root}/a`, { ...asViewer, raw: Buffer.from('x') }),
    ])
      expect(refused).toMatchObject({ status: 403, json: { error_code: 'PERMISSION_DENIED' } });
  });

  test('a contributor registers versions and does not move aliases', async () => {
    const token = await api.token('contributor');
    await api.post('registered-models/create', { name: 'roles' }, { token });
    const version = { name: 'roles', source: 's3://a/b' };
    expect((await api.post('model-versions/create', version, { token })).status).toBe(200);
    const alias = { name: 'roles', alias: 'champion', version: '1' };
    expect((await api.post('registered-models/alias', alias, { token })).status).toBe(403);
    expect((await api.post('registered-models/alias', alias)).status).toBe(200);
  });

  test('a token is the password of any user name too; without one the answer says which variable to set', async () => {
    const basic = `Basic ${Buffer.from(`anyone:${api.admin}`).toString('base64')}`;
    expect((await api.get('registered-models/search', { authorization: basic })).status).toBe(200);
    const refused = await api.get('registered-models/search', { authorization: null });
    expect(refused).toMatchObject({ status: 401, json: { error_code: 'UNAUTHENTICATED' } });
    expect(refused.json.message).toContain('MLFLOW_TRACKING_TOKEN');
  });

  test('server-info is answered without a token', async () => {
    expect(await api.get('server-info', { authorization: null })).toMatchObject({
      json: { workspaces_enabled: true },
    });
  });

  test('a workspace comes in MLflow’s header', async () => {
    await api.native('POST', '', { name: 'team-a' });
    const headers = { 'x-mlflow-workspace': 'team-a' };
    await api.post('registered-models/create', { name: 'theirs' }, { headers });
    expect((await api.get('registered-models/get?name=theirs', { headers })).status).toBe(200);
    expect((await api.get('registered-models/get?name=theirs')).status).toBe(404);
    expect(
      (await api.get('registered-models/search', { headers: { 'x-mlflow-workspace': 'No!' } })).status,
    ).toBe(400);
  });
});

test.each([
  ['GET', 'traces/search'],
  ['GET', 'no/such/thing'],
  ['PUT', 'registered-models/create'],
])('%s %s is ENDPOINT_NOT_FOUND with a sentence', async (method, path) => {
  const { status, json } = await api.call(method, path);
  expect(status).toBe(404);
  expect(json).toEqual({
    error_code: 'ENDPOINT_NOT_FOUND',
    message: expect.stringContaining('Cairn does not have'),
  });
});

test('a trace is refused so that its client does not send it once more in another format', async () => {
  expect(await api.post('traces', { trace: {} })).toEqual({
    status: 501,
    json: { error_code: 'NOT_IMPLEMENTED', message: expect.stringContaining('mlflow.tracing.disable()') },
  });
});

test.each(['..%2f..%2fx', 'a/..%2fb', 'a//b', '%00', 'a%ff', 'x'.repeat(256), '.'])(
  'an artifact’s path %s is refused and nothing is written',
  async (path) => {
    const { root } = await api.run();
    const answer = await api.call('PUT', `mlflow-artifacts/artifacts/${root}/${path}`, {
      raw: Buffer.from('x'),
    });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    expect((await api.get(`mlflow-artifacts/artifacts?path=${root}`)).json).toEqual({});
  },
);

test('a run with thousands of metrics, parameters and tags is whole', async () => {
  const { run } = await api.run();
  for (let batch = 0; batch < 5; batch++) {
    const metrics = Array.from({ length: 800 }, (_, index) => ({
      key: `m${batch}-${index}`,
      value: index,
      timestamp: 1,
      step: batch,
    }));
    const named = (kind: string) =>
      Array.from({ length: 100 }, (_, index) => ({
        key: `${kind}${batch}-${index}`,
        value: 'v'.repeat(3000),
      }));
    const logged = await api.post('runs/log-batch', {
      run_id: run,
      metrics,
      params: named('p'),
      tags: named('t').slice(0, 100),
    });
    expect(logged.status).toBe(200);
  }
  const { data } = (await api.get(`runs/get?run_id=${run}`)).json.run;
  expect([data.metrics.length, data.params.length, data.tags.length]).toEqual([4000, 500, 501]);
});

test('a batch of long texts is more than one transaction, and whole', async () => {
  const { run } = await api.run();
  const tags = Array.from({ length: 50 }, (_, index) => ({ key: `t${index}`, value: '€'.repeat(30_000) }));
  expect((await api.post('runs/log-batch', { run_id: run, tags })).status).toBe(200);
  const { data } = (await api.get(`runs/get?run_id=${run}`)).json.run;
  expect(data.tags).toHaveLength(51);
});

test('many clients that log to one run at once lose nothing', async () => {
  const { run } = await api.run();
  const steps = Array.from({ length: 100 }, (_, step) => step);
  await Promise.all(
    steps.map((step) =>
      api.post('runs/log-metric', { run_id: run, key: 'loss', value: step, timestamp: 1, step }),
    ),
  );
  const { json } = await api.get(`metrics/get-history?run_id=${run}&metric_key=loss`);
  expect(json.metrics.map(({ step }: { step: number }) => step)).toEqual(steps);
  const { metrics } = (await api.get(`runs/get?run_id=${run}`)).json.run.data;
  expect(metrics).toEqual([{ key: 'loss', value: 99, timestamp: 1, step: 99 }]);
});

test('deleting and restoring runs and experiments is told by the audit trail, logging is not', async () => {
  const { run, experiment } = await api.run();
  await api.post('runs/log-metric', { run_id: run, key: 'loss', value: 1, timestamp: 1 });
  await api.post('runs/delete', { run_id: run });
  await api.post('runs/restore', { run_id: run });
  const { json } = await api.native('GET', `audit?resource=experiment/default/${experiment}`);
  expect(json.items.map(({ action }: { action: string }) => action)).toEqual([
    'run.restored',
    'run.deleted',
    'experiment.created',
  ]);
  expect(json.items[0].call).toBe('mlflow POST runs/restore');
});

test.each([
  ['in their own order', []],
  ['by a metric', ['metrics.loss DESC']],
])('runs that come between two pages of a search, %s, repeat and hide none', async (_, order_by) => {
  const { run, experiment } = await api.run();
  const start = async (time: number, loss: number) => {
    const { json } = await api.post('runs/create', { experiment_id: experiment, start_time: time });
    const { run_id } = json.run.info;
    await api.post('runs/log-metric', { run_id, key: 'loss', value: loss, timestamp: 1 });
    return run_id;
  };
  const runs = [run, await start(2, 2), await start(3, 3), await start(4, 4)];
  const seen: string[] = [];
  for (let page_token: string | undefined; ; ) {
    const body = { experiment_ids: [experiment], max_results: 2, order_by, page_token };
    const { json } = await api.post('runs/search', body);
    seen.push(...json.runs.map(({ info }: { info: { run_id: string } }) => info.run_id));
    page_token = json.next_page_token;
    if (page_token === undefined) break;
    await start(5, 5);
  }
  expect(seen).toEqual(runs.toReversed());
  const { json } = await api.post('runs/search', {
    experiment_ids: [experiment],
    page_token: Buffer.from('{"after":["x"]}').toString('base64'),
  });
  expect(json).toMatchObject({
    error_code: 'INVALID_PARAMETER_VALUE',
    message: expect.stringContaining('token'),
  });
});

test.each([
  ['registered-models', 'by name', ['name ASC']],
  ['registered-models', 'by name, backwards', ['name DESC']],
  ['registered-models', 'by their last change', ['last_updated_timestamp ASC']],
  ['model-versions', 'by name', ['name ASC']],
])('%s that come and go between two pages, %s, repeat and hide none', async (list, how, order_by) => {
  const prefix = `${list} ${how} `;
  const create = async (letter: string) => {
    const name = prefix + letter;
    await api.post('registered-models/create', { name });
    await api.post('model-versions/create', { name, source: 's3://elsewhere/model' });
    api.ports.clock.advance(1);
  };
  const names = ['b', 'c', 'd', 'e', 'f', 'g'];
  for (const name of names) await create(name);
  const query = (page_token = '') =>
    new URLSearchParams([
      ['max_results', '2'],
      ['filter', `name LIKE '${prefix}%'`],
      ['page_token', page_token],
      ...order_by.map((order): [string, string] => ['order_by', order]),
    ]).toString();
  const seen: string[] = [];
  for (let page_token: string | undefined; ; ) {
    const { json } = await api.get(`${list}/search?${query(page_token)}`);
    const found = json.registered_models ?? json.model_versions;
    seen.push(...found.map(({ name }: { name: string }) => name.slice(prefix.length)));
    page_token = json.next_page_token;
    if (page_token === undefined) break;
    // One before what is still to come, and one that was seen is gone.
    const backwards = order_by[0] === 'name DESC';
    if (seen.length === 2) await create(backwards ? 'z' : 'a');
    await api.call('DELETE', 'registered-models/delete', { body: { name: prefix + seen[0] } });
  }
  const kept = seen.filter((name) => names.includes(name));
  expect(kept).toEqual(order_by[0] === 'name DESC' ? names.toReversed() : names);
  for (const body of [{ offset: 2 }, { after: ['x', 'y'] }, { after: ['no/name'] }]) {
    const token = Buffer.from(JSON.stringify(body)).toString('base64');
    const { status, json } = await api.get(`${list}/search?${query(token)}`);
    expect([status, json.message]).toEqual([400, expect.stringContaining('page token')]);
  }
});

describe('a logged model of another workspace', () => {
  test('is not measured by who may not write there', async () => {
    await api.native('POST', '', { name: 'theirs' });
    const headers = { 'x-mlflow-workspace': 'theirs' };
    const { json: made } = await api.post('logged-models', { experiment_id: '0' }, { headers });
    const model_id = made.model.info.model_id;
    const { run } = await api.run();
    const caller = {
      principal: 'ours',
      grants: [{ role: 'contributor' as const, workspace: 'default', models: '*' }],
      requestId: 'r',
    };
    const metrics = [{ key: 'loss', value: 1, timestamp: 1, step: 0, model: model_id }];
    await expect(logBatch(api.ports, caller, run, { metrics })).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    const { json } = await api.get(`logged-models/${model_id}`);
    expect(json.model.data).toEqual({});
  });
});

describe('a logged model’s tag of its versions', () => {
  test.each(['no JSON', '{"a":1}'])('is begun anew where it is %s', async (value) => {
    const tags = [{ key: 'mlflow.modelVersions', value }];
    const { json } = await api.post('logged-models', { experiment_id: '0', tags });
    const model_id = json.model.info.model_id;
    const name = value.startsWith('{') ? 'told-record' : 'told-text';
    await api.post('registered-models/create', { name });
    const made = await api.post('model-versions/create', { name, source: `models:/${model_id}`, model_id });
    expect(made.status).toBe(200);
    const told = (await api.get(`logged-models/${model_id}`)).json.model.info.tags;
    expect(told).toEqual([{ key: 'mlflow.modelVersions', value: JSON.stringify([{ name, version: 1 }]) }]);
  });
});

test('versions made of one logged model at once are all told by its tag', async () => {
  const { json } = await api.post('logged-models', { experiment_id: '0' });
  const model_id = json.model.info.model_id;
  await api.post('registered-models/create', { name: 'told-at-once' });
  const source = `models:/${model_id}`;
  const made = await Promise.all(
    Array.from({ length: 12 }, () =>
      api.post('model-versions/create', { name: 'told-at-once', source, model_id }),
    ),
  );
  expect(made.map(({ status }) => status)).toEqual(made.map(() => 200));
  const [tag] = (await api.get(`logged-models/${model_id}`)).json.model.info.tags;
  const told: { version: number }[] = JSON.parse(tag.value);
  expect(told.map(({ version }) => version).sort((a, b) => a - b)).toEqual(made.map((_, index) => index + 1));
});

test('a tag that another process writes at the same time is not overwritten', async () => {
  const { json } = await api.post('logged-models', { experiment_id: '0' });
  const id: string = json.model.info.model_id;
  const ada = someone('ada', 'contributor');
  let other = true;
  const table: Table = {
    ...api.ports.table,
    // Another function, which no lock of this process holds up, is quicker once.
    async transact(ops) {
      const key = { pk: loggedModelPartition(id), sk: `${TAG_PREFIX}${keyPart('told')}` };
      const put = { ...key, body: { key: 'told', value: 'other ' } };
      if (other) await api.ports.table.transact([{ put, if: 'absent' }]);
      other = false;
      await api.ports.table.transact(ops);
    },
  };
  await editLoggedModelTag({ ...api.ports, table }, ada, id, 'told', (value) => `${value ?? ''}own `);
  const { tags } = (await api.get(`logged-models/${id}`)).json.model.info;
  expect(tags).toEqual([{ key: 'told', value: 'other own ' }]);
});

const many = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ key: `k${index}`, value: 'v' }));
const dataset = { name: 'd', digest: '1', source_type: 'local', source: 's' };
const models = many(1001).map(({ key }) => ({ model_id: `m-${key}` }));

test.each([
  ['runs/create', 'tags', { tags: many(1001) }],
  [
    'runs/log-inputs',
    'datasets',
    { datasets: many(1001).map(({ key: digest }) => ({ dataset: { ...dataset, digest } })) },
  ],
  ['runs/log-inputs', 'tags', { datasets: [{ dataset, tags: many(101) }] }],
  [
    'runs/log-inputs',
    'datasets',
    { datasets: [{ dataset: { ...dataset, schema: 'ü'.repeat(99_000), profile: 'ü'.repeat(99_000) } }] },
  ],
  ['runs/log-inputs', 'models', { models }],
  ['runs/outputs', 'models', { models }],
  ['logged-models', 'params', { params: many(1001) }],
  ['logged-models', 'tags', { tags: [{ key: 'k', value: 'v'.repeat(100_001) }] }],
  ['experiments/create', 'tags', { name: 'much', tags: [{ key: 'k', value: 'v'.repeat(150_001) }] }],
])('%s refuses too many or too long %s, naming them', async (path, field, body) => {
  const { run, experiment } = await api.run();
  const answer = await api.post(path, { run_id: run, experiment_id: experiment, ...body });
  expect(answer).toMatchObject({
    status: 400,
    json: { error_code: 'INVALID_PARAMETER_VALUE', message: expect.stringContaining(field) },
  });
});

test('as many as are taken are kept', async () => {
  const { experiment } = await api.run();
  const { json } = await api.post('runs/create', { experiment_id: experiment, tags: many(1000) });
  expect(json.run.data.tags).toHaveLength(1001);
});

describe('names beyond what a record’s key can hold', () => {
  const long = 'x'.repeat(5000);
  test.each([
    ['runs/outputs', { models: [{ model_id: long }] }],
    ['runs/log-inputs', { models: [{ model_id: long }] }],
  ])('%s refuses a model’s id', async (path, body) => {
    const { run } = await api.run();
    expect((await api.post(path, { run_id: run, ...body })).status).toBe(400);
  });

  test('are refused as sources, uploads and aliases', async () => {
    const { run, root } = await api.run();
    await api.post('registered-models/create', { name: 'long-names' });
    for (const source of [
      `models:/${long}@a`,
      `models:/a@${long}`,
      `models:/${long}/latest`,
      `models:/${long}/1`,
    ])
      expect((await api.post('model-versions/create', { name: 'long-names', source })).status).toBe(400);
    const source = `runs:/${run}/${long}`;
    expect(
      (await api.post('model-versions/create', { name: 'long-names', source, run_id: run })).status,
    ).toBe(200);
    const complete = `mlflow-artifacts/mpu/complete/${root}`;
    expect((await api.post(complete, { upload_id: long })).status).toBe(400);
    const alias = { name: 'long-names', alias: long };
    expect((await api.call('DELETE', 'registered-models/alias', { body: alias })).status).toBe(400);
  });
});
