import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MlflowApi, openMlflow } from './mlflow-fixture.ts';

/** Names of tags, parameters and metrics that every JavaScript object knows, or that JavaScript treats in its own way. */

let api: MlflowApi;
beforeAll(async () => {
  api = await openMlflow();
});
afterAll(() => api.close());

const KNOWN = [
  ...Object.getOwnPropertyNames(Object.prototype),
  ...['then', 'toJSON', 'length', 'prototype', 'caller', 'NaN', '0', '-1', '1e3', 'undefined', 'null'],
];
const Name = fc.oneof(
  fc.constantFrom(...KNOWN),
  fc.constantFrom(...KNOWN).map((name) => `${name}.${name}`),
  // MLflow takes no name that is `.` or `..`.
  fc.stringMatching(/^[\w-][\w. -]{0,18}[\w-]$/),
);
const Names = fc.uniqueArray(Name, { minLength: 1, maxLength: 6 });

interface Entry {
  readonly key: string;
  readonly value: string;
}

const entriesOf = (names: readonly string[]): Entry[] =>
  names.map((key, index) => ({ key, value: `value ${index}` }));
const sorted = (entries: readonly Entry[] = []) =>
  entries.toSorted((a, b) => (a.key < b.key ? -1 : 1)).map(({ key, value }) => ({ key, value }));
const quoted = (name: string) => `\`${name}\``;

let made = 0;

describe('any name', () => {
  test('of a run’s tags, parameters and metrics is kept, found and ordered by', async () => {
    await fc.assert(
      fc.asyncProperty(Names, async (names) => {
        const { json: created } = await api.post('experiments/create', { name: `names ${++made}` });
        const experiment = created.experiment_id;
        const entries = entriesOf(names);
        const runs: string[] = [];
        for (const extra of [entries, []]) {
          const { json } = await api.post('runs/create', { experiment_id: experiment, tags: extra });
          runs.push(json.run.info.run_id);
        }
        const [full = '', bare = ''] = runs;
        const metrics = names.map((key, value) => ({ key, value, timestamp: 1, step: 0 }));
        const logged = await api.post('runs/log-batch', { run_id: full, params: entries, metrics });
        expect(logged).toEqual({ status: 200, json: {} });
        const { run } = (await api.get(`runs/get?run_id=${full}`)).json;
        expect(sorted(run.data.params)).toEqual(sorted(entries));
        expect(sorted(run.data.tags.filter(({ key }: Entry) => key !== 'mlflow.runName'))).toEqual(
          sorted(entries),
        );
        expect(new Set(run.data.metrics.map(({ key }: Entry) => key))).toEqual(new Set(names));
        const search = async (body: object) => {
          const answer = await api.post('runs/search', { experiment_ids: [experiment], ...body });
          return (answer.json.runs ?? []).map(({ info }: { info: { run_id: string } }) => info.run_id);
        };
        for (const [index, name] of names.entries()) {
          for (const kind of ['tags', 'params']) {
            const there = `${kind}.${quoted(name)} = 'value ${index}'`;
            expect(await search({ filter: there }), there).toEqual([full]);
            const absent = `${kind}.${quoted(name)} IS NULL`;
            expect(await search({ filter: absent }), absent).toEqual([bare]);
          }
          expect(await search({ filter: `metrics.${quoted(name)} >= 0` })).toEqual([full]);
          for (const kind of ['tags', 'params', 'metrics'])
            for (const direction of ['ASC', 'DESC'])
              expect(await search({ order_by: [`${kind}.${quoted(name)} ${direction}`] })).toEqual([
                full,
                bare,
              ]);
        }
        await api.post('runs/delete-tag', { run_id: full, key: names[0] });
        const { json } = await api.get(`runs/get?run_id=${full}`);
        expect(json.run.data.tags.map(({ key }: Entry) => key)).not.toContain(names[0]);
      }),
      { numRuns: 15, examples: [[['__proto__', 'constructor', 'toString']]] },
    );
  });

  test('of an experiment’s, a model’s and a version’s tags is kept, found, told by the trail and removed', async () => {
    await fc.assert(
      fc.asyncProperty(Names, async (names) => {
        const name = `tagged ${++made}`;
        const entries = entriesOf(names);
        const { json } = await api.post('experiments/create', { name, tags: entries });
        const { experiment_id } = json;
        await api.post('registered-models/create', { name, tags: entries });
        await api.post('model-versions/create', { name, source: 's3://a/b', tags: entries });
        const read = async () => [
          (await api.get(`experiments/get?experiment_id=${experiment_id}`)).json.experiment,
          (await api.get(`registered-models/get?name=${encodeURIComponent(name)}`)).json.registered_model,
          (await api.get(`model-versions/get?name=${encodeURIComponent(name)}&version=1`)).json.model_version,
        ];
        for (const { tags } of await read()) expect(sorted(tags)).toEqual(sorted(entries));
        const filter = `name = '${name}' AND tags.${quoted(names[0] ?? '')} = 'value 0'`;
        const found = await api.get(`registered-models/search?filter=${encodeURIComponent(filter)}`);
        expect(found.json.registered_models).toHaveLength(1);
        const native = `models/${encodeURIComponent(name)}`;
        const { tags } = (await api.native('GET', native)).json;
        expect(Object.entries(tags).map(([key, value]) => ({ key, value }))).toEqual(
          expect.arrayContaining(entries),
        );
        const [trail] = (await api.native('GET', 'audit?limit=3')).json.items.filter(
          ({ action }: { action: string }) => action === 'model.created',
        );
        expect(Object.keys(trail.after.tags).sort()).toEqual(names.toSorted());
        for (const key of names) {
          await api.post('experiments/set-experiment-tag', { experiment_id, key, value: 'new' });
          await api.post('registered-models/set-tag', { name, key, value: 'new' });
          await api.post('model-versions/set-tag', { name, version: '1', key, value: 'new' });
        }
        for (const { tags } of await read())
          expect(sorted(tags)).toEqual(sorted(names.map((key) => ({ key, value: 'new' }))));
        // The native API's patch, which is an object.
        await api.native('PATCH', native, { tags: Object.fromEntries(names.map((key) => [key, 'native'])) });
        const [, model] = await read();
        expect(sorted(model.tags)).toEqual(sorted(names.map((key) => ({ key, value: 'native' }))));
        for (const key of names) {
          await api.post('experiments/delete-experiment-tag', { experiment_id, key });
          await api.call('DELETE', 'registered-models/delete-tag', { body: { name, key } });
          await api.call('DELETE', 'model-versions/delete-tag', { body: { name, version: '1', key } });
        }
        for (const { tags } of await read()) expect(tags).toBeUndefined();
      }),
      { numRuns: 15, examples: [[['__proto__', 'constructor', 'toString']]] },
    );
    expect((await api.native('GET', 'audit/verification')).json).toMatchObject({ ok: true });
  });

  test('of a logged model’s tags and parameters is kept and found', async () => {
    const { experiment } = await api.run();
    const entries = entriesOf(KNOWN);
    const { json } = await api.post('logged-models', {
      experiment_id: experiment,
      params: entries,
      tags: entries,
    });
    const id = json.model.info.model_id;
    const { model } = (await api.get(`logged-models/${id}`)).json;
    expect(sorted(model.info.tags)).toEqual(sorted(entries));
    expect(sorted(model.data.params)).toEqual(sorted(entries));
    const filter = KNOWN.slice(0, 12).map((name, index) => `params.${quoted(name)} = 'value ${index}'`);
    const search = { experiment_ids: [experiment], filter: filter.join(' AND ') };
    expect((await api.post('logged-models/search', search)).json.models).toHaveLength(1);
  });

  test('of a parameter and metric is kept by the version that is made of the run', async () => {
    const { run, root } = await api.run();
    await api.put(`${root}/weights.bin`, Buffer.from('w'));
    const params = entriesOf(KNOWN);
    const metrics = KNOWN.map((key, value) => ({ key, value, timestamp: 1 }));
    await api.post('runs/log-batch', { run_id: run, params, metrics });
    await api.post('registered-models/create', { name: 'lineage' });
    await api.post('model-versions/create', { name: 'lineage', source: `runs:/${run}/`, run_id: run });
    const { lineage } = (await api.native('GET', 'models/lineage/versions/1')).json.source;
    expect(Object.keys(lineage.params).sort()).toEqual(KNOWN.toSorted());
    expect(Object.keys(lineage.metrics).sort()).toEqual(KNOWN.toSorted());
  });

  test('of a field or parameter that there is not is refused by the native API', async () => {
    const unknown = Object.fromEntries([
      ['name', 'x'],
      ['__proto__', 'y'],
    ]);
    expect((await api.native('POST', 'models', unknown)).json).toMatchObject({ field: '__proto__' });
    for (const name of ['__proto__', 'constructor', 'toString'])
      expect((await api.native('GET', `models?${name}=1`)).json).toMatchObject({ status: 400, field: name });
  });
});
