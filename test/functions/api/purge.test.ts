import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { verifyAudit } from '../../../shared/audit/verify.ts';
import type { Item } from '../../../shared/ports/table.ts';
import { GRACE_MS } from '../../../shared/storage/garbage.ts';
import { putArtifact } from '../../../shared/tracking/artifact.ts';
import type { DeletedKind } from '../../../shared/tracking/deleted.ts';
import { experimentKey, runKey, TRACKING_PURGES } from '../../../shared/tracking/keys.ts';
import { finishPurges, purge } from '../../../shared/tracking/purge.ts';
import { createRun } from '../../../shared/tracking/run.ts';
import { interrupted } from '../../support/interrupted-ports.ts';
import { someone } from '../../support/local-ports.ts';
import { type MlflowApi, openMlflow } from './mlflow-fixture.ts';

/** What MLflow's client deleted goes for good, as `mlflow gc` does it to MLflow's own server. */

const ada = someone('ada', 'admin');

let api: MlflowApi;
beforeEach(async () => {
  api = await openMlflow();
});
afterEach(() => api.close());

const BYTES = Buffer.from('bytes');

/** A run that has logged something of everything, and its experiment. */
async function fullRun() {
  const made = await api.run();
  const { run, experiment, root } = made;
  await api.put(`${root}/model/weights.bin`, BYTES);
  await api.put(`${root}/notes.txt`, BYTES);
  await api.post('runs/log-batch', {
    run_id: run,
    metrics: [{ key: 'loss', value: 1, timestamp: 1, step: 1 }],
    params: [{ key: 'depth', value: '3' }],
    tags: [{ key: 'team', value: 'a' }],
  });
  const { json } = await api.post('logged-models', { experiment_id: experiment, source_run_id: run });
  const model: string = json.model.info.model_id;
  await api.put(`${experiment}/models/${model}/artifacts/MLmodel`, BYTES);
  return { ...made, model };
}

const listed = async (query = '') => (await api.native('GET', `deleted${query}`)).json.items;
const purgeOf = (kind: DeletedKind, id: string, body: object = {}) =>
  api.native('POST', `deleted/${kind}/${id}/purge`, body);
const objects = async () =>
  (await api.ports.blobs.list('workspaces/')).objects.filter(({ key }) =>
    /\/(runs|logged-models)\//.test(key),
  );

/** The partitions of all items that name this. */
function partitionsNaming(text: string): string[] {
  const db = new DatabaseSync(join(api.ports.dir, 'cairn.db'), { readOnly: true });
  const found = db.prepare('SELECT DISTINCT pk FROM item WHERE instr(pk || sk || body, ?) > 0').all(text);
  db.close();
  // What happened stays told, and what is being removed is looked at once more.
  return found.map(({ pk }) => String(pk)).filter((pk) => !/^(experiment|feed|tracking-purges)/.test(pk));
}

test('a deleted run goes with its metrics and artifacts, and a version made of it keeps its bytes', async () => {
  const { run, experiment, root } = await fullRun();
  const other = await api.run();
  await api.put(`${other.root}/stays.bin`, BYTES);
  await api.post('registered-models/create', { name: 'kept' });
  await api.post('model-versions/create', { name: 'kept', source: `runs:/${run}/model`, run_id: run });
  await api.post('runs/delete', { run_id: run });
  const deleted = { kind: 'run', id: run, experiment };
  expect(await listed()).toMatchObject([deleted]);
  const figures = { runs: 1, loggedModels: 0, files: 2, bytes: 2 * BYTES.length, complete: true };
  expect((await purgeOf('run', run, { dryRun: true })).json).toMatchObject({
    ...deleted,
    dryRun: true,
    ...figures,
  });
  expect((await api.get(`runs/get?run_id=${run}`)).status).toBe(200);
  const answer = await purgeOf('run', run, { reason: 'too old' });
  expect(answer).toMatchObject({ status: 200, json: { ...deleted, dryRun: false, ...figures } });
  expect(await listed()).toEqual([]);
  expect((await api.get(`runs/get?run_id=${run}`)).json.error_code).toBe('RESOURCE_DOES_NOT_EXIST');
  expect((await api.post('runs/restore', { run_id: run })).status).toBe(404);
  const search = await api.post('runs/search', { experiment_ids: [experiment], run_view_type: 'ALL' });
  expect(search.json).toEqual({});
  expect((await objects()).map(({ key }) => key).filter((key) => key.includes(run))).toEqual([]);
  expect(await objects()).toHaveLength(2);
  const { json } = await api.get('model-versions/get-download-uri?name=kept&version=1');
  expect(await (await api.fetch(`${json.artifact_uri}/weights.bin`)).text()).toBe('bytes');
  const audit = await api.native('GET', `audit?resource=experiment/default/${experiment}&limit=1`);
  expect(audit.json.items).toMatchObject([{ action: 'run.purged', reason: 'too old', before: { run } }]);
  expect(await verifyAudit(api.ports, 'default')).toMatchObject({ ok: true });
  expect((await api.get(`metrics/get-history?run_id=${run}&metric_key=loss`)).status).toBe(404);
  expect(partitionsNaming(root)).toEqual([]);
});

test('an experiment goes with all that is in it, and its name is free', async () => {
  const { run, experiment, model } = await fullRun();
  const name = (await api.get(`experiments/get?experiment_id=${experiment}`)).json.experiment.name;
  await api.post('runs/delete', { run_id: run });
  api.ports.clock.advance(1);
  await api.post('experiments/delete', { experiment_id: experiment });
  expect(await listed()).toMatchObject([{ kind: 'run' }, { kind: 'experiment', id: experiment, name }]);
  expect((await purgeOf('experiment', experiment)).json).toMatchObject({
    runs: 1,
    loggedModels: 1,
    files: 3,
    bytes: 3 * BYTES.length,
  });
  expect(await listed()).toEqual([]);
  expect((await api.get(`runs/get?run_id=${run}`)).status).toBe(404);
  expect((await api.get(`logged-models/${model}`)).status).toBe(404);
  expect((await api.get(`experiments/get?experiment_id=${experiment}`)).status).toBe(404);
  expect(await objects()).toEqual([]);
  expect((await api.post('experiments/create', { name })).status).toBe(200);
});

test('a logged model goes, and the run that made it stays', async () => {
  const { run, model } = await fullRun();
  await api.call('DELETE', `logged-models/${model}`);
  expect((await purgeOf('logged-model', model)).json).toMatchObject({ runs: 0, loggedModels: 1, files: 1 });
  expect((await api.get(`logged-models/${model}?allow_deleted=true`)).status).toBe(404);
  expect((await api.get(`runs/get?run_id=${run}`)).status).toBe(200);
});

test('what is not deleted, or not long enough, stays', async () => {
  const { run, experiment, model } = await fullRun();
  for (const [kind, id] of [
    ['run', run],
    ['experiment', experiment],
    ['logged-model', model],
  ] as const)
    expect((await purgeOf(kind, id)).json).toMatchObject({ status: 409, code: 'NOT_DELETED', field: 'id' });
  await api.post('runs/delete', { run_id: run });
  const now = new Date(api.ports.clock.now()).toISOString();
  const later = new Date(api.ports.clock.now() + 1).toISOString();
  expect((await purgeOf('run', run, { deletedBefore: now })).json).toMatchObject({ field: 'deletedBefore' });
  expect(await listed(`?deletedBefore=${now}`)).toEqual([]);
  expect(await listed(`?deletedBefore=${later}`)).toHaveLength(1);
  await api.post('runs/restore', { run_id: run });
  expect(await listed()).toEqual([]);
  expect((await purgeOf('run', run, { deletedBefore: later })).json).toMatchObject({ code: 'NOT_DELETED' });
  await api.post('experiments/delete', { experiment_id: '0' });
  expect((await purgeOf('experiment', '0')).json).toMatchObject({ code: 'INVALID_ARGUMENT', field: 'id' });
  expect((await purgeOf('run', 'nobody')).json).toMatchObject({ code: 'RUN_NOT_FOUND' });
});

test('a run that came back with its experiment is not listed and not purged, one that went with it is purged', async () => {
  const { run, experiment } = await fullRun();
  const { json } = await api.post('runs/create', { experiment_id: experiment, start_time: 2 });
  const other: string = json.run.info.run_id;
  await api.post('runs/delete', { run_id: run });
  api.ports.clock.advance(1000);
  const between = new Date(api.ports.clock.now()).toISOString();
  expect(await listed(`?deletedBefore=${between}`)).toMatchObject([{ id: run }]);
  await api.post('experiments/delete', { experiment_id: experiment });
  // It was deleted again, as MLflow has it: `--older-than` counts from then.
  expect(await listed(`?deletedBefore=${between}`)).toEqual([]);
  expect((await purgeOf('run', run, { deletedBefore: between })).json).toMatchObject({ code: 'NOT_DELETED' });
  expect(await listed()).toMatchObject([{ id: run }, { id: experiment }]);
  await api.post('experiments/restore', { experiment_id: experiment });
  expect(await listed()).toEqual([]);
  expect((await purgeOf('run', run)).json).toMatchObject({ code: 'NOT_DELETED' });
  await api.post('runs/delete', { run_id: run });
  expect(await listed()).toMatchObject([{ id: run }]);
  await api.post('experiments/delete', { experiment_id: experiment });
  expect((await purgeOf('run', other)).json).toMatchObject({ runs: 1, complete: true });
  expect((await purgeOf('run', run)).json).toMatchObject({ runs: 1, complete: true });
  expect(await listed()).toMatchObject([{ id: experiment }]);
  expect((await purgeOf('experiment', experiment)).json).toMatchObject({ runs: 0, loggedModels: 1 });
  expect(partitionsNaming(run)).toEqual([]);
});

test('an experiment with a run that was restored by itself is not purged', async () => {
  const { run, experiment } = await fullRun();
  await api.post('experiments/delete', { experiment_id: experiment });
  await api.post('runs/restore', { run_id: run });
  for (const input of [{ dryRun: true }, {}])
    expect((await purgeOf('experiment', experiment, input)).json).toMatchObject({
      code: 'NOT_DELETED',
      detail: expect.stringContaining(run),
    });
  expect((await api.get(`runs/get?run_id=${run}`)).status).toBe(200);
  await api.post('runs/delete', { run_id: run });
  expect((await purgeOf('experiment', experiment)).json).toMatchObject({ runs: 1 });
});

test('a run that is deleted, back with its experiment and deleted within one millisecond is listed once', async () => {
  const { run, experiment } = await fullRun();
  await api.post('runs/delete', { run_id: run });
  await api.post('experiments/delete', { experiment_id: experiment });
  await api.post('experiments/restore', { experiment_id: experiment });
  expect((await api.post('runs/delete', { run_id: run })).status).toBe(200);
  expect(await listed()).toMatchObject([{ kind: 'run', id: run }]);
  await api.post('runs/restore', { run_id: run });
  expect(await listed()).toEqual([]);
});

test('the runs of an experiment that was deleted before turns were counted are deleted with it', async () => {
  const { run, experiment } = await fullRun();
  await api.post('experiments/delete', { experiment_id: experiment });
  for (const key of [experimentKey('default', experiment), runKey(run)]) {
    const { body, rev } = (await api.ports.table.get(key)) as Item<{ turn: number }>;
    const { turn: _, ...before } = body;
    await api.ports.table.transact([{ put: { ...key, body: before }, if: { rev } }]);
  }
  const stage = async () => (await api.get(`runs/get?run_id=${run}`)).json.run.info.lifecycle_stage;
  expect(await stage()).toBe('deleted');
  await api.post('experiments/restore', { experiment_id: experiment });
  expect(await stage()).toBe('active');
});

test('a run of another workspace is not found', async () => {
  await api.native('POST', '', { name: 'other' });
  const { run } = await api.run();
  await api.post('runs/delete', { run_id: run });
  await expect(purge(api.ports, ada, { workspace: 'other', kind: 'run', id: run })).rejects.toMatchObject({
    code: 'RUN_NOT_FOUND',
  });
});

test('a purge that is killed at any moment is finished by the clean-up, or by asking again', async () => {
  for (let at = 0, calls = 1; at <= calls; at++) {
    const { run, experiment } = await fullRun();
    await api.post('experiments/delete', { experiment_id: experiment });
    const target = { workspace: 'default', kind: 'experiment', id: experiment } as const;
    const watched = interrupted(api.ports, at, () => Promise.reject(new Error('killed')));
    await purge(watched.ports, ada, target).catch(() => undefined);
    calls = Math.max(calls, watched.calls());
    if (at % 2 === 0) await finishPurges(api.ports);
    await purge(api.ports, ada, target);
    expect(await objects(), `call ${at}`).toEqual([]);
    expect(partitionsNaming(run), `call ${at}`).toEqual([]);
    const { json } = await api.native('GET', `audit?resource=experiment/default/${experiment}`);
    const purged = json.items.filter(({ action }: { action: string }) => action === 'experiment.purged');
    expect(purged, `call ${at}`).toHaveLength(1);
  }
}, 60_000);

test('a purge that runs out of time says so, and goes on when asked again', async () => {
  const { experiment } = await fullRun();
  await createRun(api.ports, ada, { workspace: 'default', experiment, user: '', startTime: 2, tags: {} });
  await api.post('experiments/delete', { experiment_id: experiment });
  const target = { workspace: 'default', kind: 'experiment', id: experiment } as const;
  let runs = 0;
  let files = 0;
  for (let complete = false, rounds = 0; !complete; rounds++) {
    const part = await purge(api.ports, ada, target, { deadline: 0 });
    ({ complete } = part);
    runs += part.runs;
    files += part.files;
    expect(rounds).toBeLessThan(20);
  }
  expect({ runs, files }).toEqual({ runs: 2, files: 3 });
  expect(await objects()).toEqual([]);
});

test('what somebody was writing to it when it went is looked for a day later', async () => {
  const { run } = await api.run();
  await api.post('runs/delete', { run_id: run });
  const owner = { kind: 'run', id: run, workspace: 'default' } as const;
  await purgeOf('run', run);
  await putArtifact(api.ports, ada, owner, 'late.bin', BYTES);
  expect(await finishPurges(api.ports)).toBe(0);
  api.ports.clock.advance(GRACE_MS);
  expect(await finishPurges(api.ports)).toBe(BYTES.length);
  expect(partitionsNaming(run)).toEqual([]);
  expect(await objects()).toEqual([]);
  expect((await api.ports.table.query({ pk: TRACKING_PURGES, limit: 1 })).items).toEqual([]);
});

test.each([
  ['viewer', 'GET', 200],
  ['approver', 'POST', 403],
] as const)('a %s may look at what was deleted, and only an admin purges', async (role, method, status) => {
  const { run } = await api.run();
  await api.post('runs/delete', { run_id: run });
  const path = method === 'GET' ? 'deleted' : `deleted/run/${run}/purge`;
  expect((await api.native(method, path, undefined, await api.token(role))).status).toBe(status);
});
