import { afterAll, beforeAll, expect, test } from 'vitest';
import { ADMIN_TOKEN, type InstalledCli, installCli, startServer, type TestServer } from './harness.ts';

let server: TestServer;
let cli: InstalledCli;

beforeAll(async () => {
  server = await startServer();
  cli = await installCli(() => ({ CAIRN_URL: server.url, CAIRN_TOKEN: ADMIN_TOKEN }));
});

afterAll(async () => {
  await cli.remove();
  await server.close();
});

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape
async function mlflow(path: string, body: object): Promise<any> {
  const answer = await fetch(`${server.url}/api/2.0/mlflow/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(answer.status).toBe(200);
  return answer.json();
}

/** A deleted run with a file, in an experiment. */
async function deletedRun(experiment = '0'): Promise<string> {
  const created = await mlflow('runs/create', { experiment_id: experiment });
  const { run_id, artifact_uri } = created.run.info;
  const path = artifact_uri.replace('mlflow-artifacts:/', '');
  await fetch(`${server.url}/api/2.0/mlflow-artifacts/artifacts/${path}/notes.txt`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    body: 'notes',
  });
  await mlflow('runs/delete', { run_id });
  return run_id;
}

test('what was deleted is told, removed when told to, and then gone', async () => {
  const { experiment_id } = await mlflow('experiments/create', { name: 'old' });
  const inside = await deletedRun(experiment_id);
  const outside = await deletedRun();
  await mlflow('experiments/delete', { experiment_id });
  const dry = await cli.run(['purge', '--dry-run']);
  expect(dry).toMatchObject({ status: 0, stderr: '' });
  expect(dry.stdout).toContain('Would remove 1 experiment, 2 runs with 2 files of 10 B.');
  expect(dry.stdout).toContain(outside);
  // It goes with its experiment.
  expect(dry.stdout).not.toContain(inside);
  expect(await cli.run(['purge'])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('Remove 1 experiment, 2 runs for good? Nobody is there to ask.'),
  });
  expect(await cli.json(['purge', '--older-than', '1h', '--yes'])).toMatchObject({ items: [] });
  expect(await cli.json(['purge', '--yes', '--reason', 'old'])).toMatchObject({
    dryRun: false,
    experiments: 1,
    runs: 2,
    loggedModels: 0,
    files: 2,
    bytes: 10,
    items: [
      { kind: 'experiment', id: experiment_id },
      { kind: 'run', id: outside },
    ],
  });
  expect((await cli.run(['purge', '--yes'])).stdout).toBe('Nothing was deleted that could be purged.\n');
  expect((await cli.run(['audit'])).stdout).toContain('experiment.purged');
});

test('one run is purged by its id, unless it is not deleted or not long enough', async () => {
  const { run } = await mlflow('runs/create', { experiment_id: '0' });
  const { run_id } = run.info;
  const refused = await cli.run(['purge', '--run', run_id, '--yes']);
  expect(refused).toMatchObject({ status: 5, stderr: expect.stringContaining('is not deleted') });
  await mlflow('runs/delete', { run_id });
  const young = await cli.run(['purge', '--run', run_id, '--older-than', '1.5d2h', '--yes']);
  expect(young).toMatchObject({ status: 5, stderr: expect.stringContaining('was deleted at') });
  const done = await cli.run(['purge', '--run', run_id, '--yes']);
  expect(done.stdout).toContain('Removed 1 run with 0 files of 0 B.');
  expect(await cli.run(['purge', '--older-than', 'week'])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('30d'),
  });
});

test('an experiment with a run that was restored by itself stays, and the others go', async () => {
  const { experiment_id } = await mlflow('experiments/create', { name: 'kept' });
  const run_id = await deletedRun(experiment_id);
  const other = await deletedRun();
  await mlflow('experiments/delete', { experiment_id });
  await mlflow('runs/restore', { run_id });
  const { status, stdout, stderr } = await cli.run(['purge', '--yes']);
  expect([status, stdout]).toEqual([0, expect.stringContaining(other)]);
  expect(stderr).toContain(`The experiment ${experiment_id} stays:`);
  expect(stderr).toContain(run_id);
  const named = await cli.run(['purge', '--yes', '--experiment', experiment_id]);
  expect(named).toMatchObject({ status: expect.any(Number), stderr: expect.stringContaining(run_id) });
  expect(named.status).not.toBe(0);
});
