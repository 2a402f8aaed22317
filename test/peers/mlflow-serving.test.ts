import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type InstalledCli, installCli } from '../cli/harness.ts';
import { startServer, type TestServer, TOKEN } from '../support/server.ts';
import { NEWEST, requirements } from './mlflow-requirements.ts';
import { pythonEnv, runPython } from './python.ts';

interface Logged {
  readonly rows: { readonly columns: string[]; readonly data: number[][] };
  /** By version: what `load_model` predicts for the rows. */
  readonly predictions: Readonly<Record<string, number[]>>;
  /** What LightGBM predicts for them. */
  readonly trees: number[];
}

const WAIT = { timeout: 280_000, interval: 500 };
const NO_BAKE = ['--bake-seconds', '0'];

let folder: string;
let server: TestServer;
let cli: InstalledCli;
let logged: Logged;

beforeAll(async () => {
  process.env.MLFLOW_TRACKING_TOKEN = TOKEN;
  folder = await mkdtemp(join(tmpdir(), 'cairn-mlflow-serving-'));
  // pip's own settings reach the environments that the server makes.
  const pip = Object.entries(process.env).filter(([name]) => name === 'HOME' || name.startsWith('PIP_'));
  server = await startServer(join(folder, 'data'), Object.fromEntries(pip));
  cli = await installCli(() => ({ CAIRN_URL: server.url, CAIRN_TOKEN: TOKEN }));
  const python = await pythonEnv('mlflow', requirements(NEWEST));
  const said = await runPython(python, 'mlflow_serving.py', [server.url]);
  logged = JSON.parse(said.split('\n').findLast((line) => line.startsWith('{')) ?? '');
}, 600_000);

afterAll(async () => {
  await server?.stop();
  await cli?.remove();
  await rm(folder, { recursive: true, force: true });
});

const invoke = (endpoint: string, body: unknown) =>
  server.api('POST', `/endpoints/default/${endpoint}/invocations`, body);

async function environments(): Promise<string[]> {
  return readdir(join(folder, 'data/python'));
}

test('a scikit-learn model that MLflow logged answers what load_model predicts, over both protocols', async () => {
  const deployed = await cli.run(['deploy', 'iris@1', ...NO_BAKE]);
  expect(deployed.stderr + deployed.stdout).toContain('iris');
  expect(deployed.status).toBe(0);
  expect(deployed.stderr).toContain('preparing: The environment of revision 1 is being made');
  const answer = await invoke('iris', { dataframe_split: logged.rows });
  expect(answer.body).toEqual({ predictions: logged.predictions[1] });
  expect(answer.headers.get('cairn-version')).toBe('1');
  const { columns, data } = logged.rows;
  const inputs = columns.map((name, column) => ({
    name,
    shape: [data.length, 1],
    datatype: 'FP64',
    data: data.map((row) => row[column]),
  }));
  const v2 = await server.api('POST', '/endpoints/default/iris/v2/models/iris/infer', { inputs });
  expect(v2.body).toMatchObject({ model_name: 'iris', outputs: [{ data: logged.predictions[1] }] });
  const columnwise = Object.fromEntries(inputs.map(({ name, data }) => [name, data.slice(0, 2)]));
  const predicted = await cli.json(['predict', 'iris', '--data', JSON.stringify(columnwise)]);
  expect(JSON.stringify(predicted)).toContain(JSON.stringify(logged.predictions[1]?.slice(0, 2)));
  expect((await server.api('GET', '/endpoints/default/iris/v2/models/iris')).body.inputs).toHaveLength(4);
  expect((await server.api('GET', '/endpoints/default/iris/ping')).status).toBe(200);
}, 600_000);

test('a request that cannot be read is its sender’s fault, and no alarm hears of it', async () => {
  const infer = (inputs: unknown) =>
    server.api('POST', '/endpoints/default/iris/v2/models/iris/infer', { inputs });
  const column = { name: 'x', datatype: 'FP64', shape: [7, 1], data: [1] };
  const refused = [
    await invoke('iris', { rows: [] }),
    await invoke('iris', { dataframe_split: { columns: logged.rows.columns, data: [['a', 1, 1, 1]] } }),
    await invoke('iris', { dataframe_split: { columns: ['other'], data: [[1]] } }),
    await infer([column]),
    await infer([{ ...column, datatype: 'FP65' }]),
    await infer(undefined),
  ];
  for (const { status, body } of refused)
    expect([status, body]).toEqual([400, { error: expect.any(String) }]);
}, 600_000);

test('the next version has the same environment, and rolls back like any other', async () => {
  expect((await cli.run(['deploy', 'iris@2', ...NO_BAKE])).status).toBe(0);
  const answer = await invoke('iris', { dataframe_split: logged.rows });
  expect(answer.body).toEqual({ predictions: logged.predictions[2] });
  expect(logged.predictions[2]).not.toEqual(logged.predictions[1]);
  expect(await environments()).toHaveLength(1);
  expect((await cli.run(['rollback', 'iris', '--reason', 'wrong labels'])).status).toBe(0);
  await expect
    .poll(async () => (await invoke('iris', { dataframe_split: logged.rows })).body, WAIT)
    .toEqual({ predictions: logged.predictions[1] });
}, 600_000);

test('a replica that dies is replaced', async () => {
  const ledger = join(folder, 'data/run/processes');
  const before = await readdir(ledger);
  for (const pid of before) process.kill(Number(pid), 'SIGKILL');
  await expect
    .poll(async () => (await readdir(ledger)).filter((pid) => !before.includes(pid)).length, WAIT)
    .toBeGreaterThan(0);
  await expect
    .poll(async () => (await invoke('iris', { dataframe_split: logged.rows })).body, WAIT)
    .toEqual({ predictions: logged.predictions[1] });
});

test('files that are not what was published are not loaded', async () => {
  const list = join(folder, 'files.json');
  await writeFile(list, JSON.stringify([{ path: 'files.json', size: 1, sha256: '0'.repeat(64) }]));
  const main = fileURLToPath(new URL('../../functions/python-server/main.py', import.meta.url));
  const env = { PATH: process.env.PATH, CAIRN_MODEL_DIR: folder, CAIRN_MODEL_FILES: list };
  const { status, stdout } = spawnSync('python3', [main], { cwd: folder, env, encoding: 'utf8' });
  expect(stdout).toMatch(/files\.json.* has \d+ bytes, not 1\./);
  expect(status).toBe(3);
});

test('nobody who may ask an endpoint can take its model away', async () => {
  const unload = await server.api('POST', '/endpoints/default/iris/v2/repository/models/iris/unload', {});
  expect(unload.status).toBe(404);
  expect((await invoke('iris', { dataframe_split: logged.rows })).status).toBe(200);
});

test('a model reads neither Cairn’s keys nor its environment, and cannot change its own files', async () => {
  expect((await cli.run(['deploy', 'probe@1', ...NO_BAKE])).status).toBe(0);
  const path = [
    join(folder, 'data/keys.json'),
    join(folder, 'data/table.sqlite'),
    fileURLToPath(new URL('../../package.json', import.meta.url)),
  ];
  const { body } = await invoke('probe', {
    dataframe_split: { columns: ['path'], data: path.map((one) => [one]) },
  });
  expect(body.predictions).toEqual([
    'PermissionError',
    'PermissionError',
    'PermissionError',
    'PermissionError, parent: PermissionError',
    'PermissionError',
    '[]',
  ]);
  expect(await environments()).toHaveLength(1);
}, 600_000);

test('a package that is not to be had is named in the endpoint’s status and logs', async () => {
  const deployed = await cli.run(['deploy', 'odd@1', ...NO_BAKE]);
  expect(deployed.status).not.toBe(0);
  const { stdout } = await cli.run(['status', 'odd', '--json']);
  const why = /has no Python environment: pip cannot install .*no-such-package-of-cairn==9\.9/;
  expect(stdout).toMatch(why);
  expect((await cli.run(['logs', 'odd'])).stdout).toMatch(why);
}, 600_000);

test('a LightGBM model and one with code of its own answer what load_model predicts', async () => {
  expect((await cli.run(['deploy', 'trees@1', ...NO_BAKE])).status).toBe(0);
  const { body } = await invoke('trees', { dataframe_split: logged.rows });
  expect(body.predictions).toHaveLength(logged.trees.length);
  for (const [row, value] of logged.trees.entries()) expect(body.predictions[row]).toBeCloseTo(value, 12);
  const deployed = await cli.run(['deploy', 'coded@1', '--memory', '1500', ...NO_BAKE]);
  expect(deployed.status, deployed.stderr).toBe(0);
  expect((await coded(1, 3)).body).toEqual({ predictions: [1.5, 9.5] });
}, 900_000);

test('whatever a function returns is answered in tensors', async () => {
  const deployed = await cli.run(['deploy', 'returns@1', ...NO_BAKE]);
  expect(deployed.status, deployed.stderr).toBe(0);
  const numbers = (datatype: string, shape: number[], data: unknown[], name = 'output-1') => ({
    name,
    datatype,
    shape,
    data,
    parameters: { content_type: 'np' },
  });
  const texts = (data: string[], name = 'output-1', contentType = 'str') => ({
    name,
    datatype: 'BYTES',
    shape: [data.length, 1],
    data,
    parameters: { content_type: contentType },
  });
  const json = (data: string[], name?: string) => texts(data, name, 'pd_json');
  const answers = {
    numbers: [numbers('FP64', [2, 1], [1.5, 2])],
    missing: [numbers('FP64', [2, 1], [1, null])],
    texts: [texts(['a', 'é'])],
    mixed: [json(['1', '"a"'])],
    nested: [numbers('INT64', [2, 2], [1, 2, 3, 4])],
    ragged: [json(['[1]', '[2, 3]'])],
    scalar: [numbers('FP64', [1, 1], [2.5])],
    text: [texts(['a'])],
    array: [numbers('FP32', [2, 2], [1, 2, 3, 4])],
    objects: [texts(['a', 'b'])],
    series: [numbers('BOOL', [2, 1], [true, false], 'flag')],
    nullable: [numbers('FP64', [2, 1], [1, null])],
    table: [
      numbers('INT64', [2, 1], [1, 2], 'n'),
      texts([expect.stringMatching(/^2026-01-01T00:00:00/), expect.stringMatching(/^2026-01-02T/)], 'day'),
      json(['{"k": 1}', 'null'], '3'),
    ],
    lists: [numbers('INT64', [2, 1], [1, 2], 'n'), texts(['a', 'b'], 'label'), json(['{"k": 1}'], 'more')],
    rows: [numbers('INT64', [2, 1], [1, 2], 'n'), texts(['a', 'b'], 'label')],
    'odd rows': [json(['{"n": 1}', '{"label": "b"}'])],
  };
  const answered: Record<string, unknown> = {};
  for (const kind of Object.keys(answers)) {
    const inputs = [texts([kind], 'kind')];
    const { body } = await server.api('POST', '/endpoints/default/returns/v2/models/returns/infer', {
      inputs,
      parameters: { content_type: 'pd' },
    });
    answered[kind] = body.outputs ?? body;
  }
  expect(answered).toEqual(answers);
}, 600_000);

test('what a model raises is its own fault, which alarms count, and its logs say where', async () => {
  expect(await coded(-0.5)).toMatchObject({ status: 500, body: { error: expect.any(String) } });
  const inputs = [{ name: 'x', datatype: 'FP64', shape: [1, 1], data: [-0.5] }];
  const { status, body } = await server.api('POST', '/endpoints/default/coded/v2/models/coded/infer', {
    inputs,
    // Without a signature it is the request that says how to read it.
    parameters: { content_type: 'pd' },
  });
  expect([status, body]).toEqual([500, { error: 'The model failed: ValueError: a broken model' }]);
  const { stdout } = await cli.run(['logs', 'coded']);
  expect(stdout.split('ValueError: a broken model').length).toBeGreaterThan(2);
});

const coded = (...values: number[]) =>
  invoke('coded', { dataframe_split: { columns: ['x'], data: values.map((value) => [value]) } });

test('a replica that takes too much memory is replaced, and status and logs say so', async () => {
  expect((await coded(-1)).status).toBeGreaterThanOrEqual(500);
  const why = /used \d+ MiB of memory; it may use 1500/;
  expect((await cli.run(['logs', 'coded'])).stdout).toMatch(why);
  await expect.poll(async () => (await coded(2)).body, WAIT).toEqual({ predictions: [4.5] });
  expect((await cli.run(['status', 'coded', '--json'])).stdout).toMatch(why);
}, 600_000);

test('a request that is under way is answered when its endpoint is withdrawn, and when the server is stopped', async () => {
  const underWay = (value: number) =>
    expect
      .poll(async () => (await cli.run(['logs', 'coded'])).stdout, WAIT)
      .toContain(`takes its time: ${value}`);
  const deleted = coded(-2);
  await underWay(-2);
  expect((await cli.run(['delete', 'endpoint', 'coded', '--yes'])).status).toBe(0);
  expect(await deleted).toMatchObject({ status: 200, body: { predictions: [4.5] } });

  expect((await cli.run(['deploy', 'coded@1', ...NO_BAKE])).status).toBe(0);
  const stopped = coded(-3);
  await underWay(-3);
  const ended = server.stop();
  expect(await stopped).toMatchObject({ status: 200, body: { predictions: [9.5] } });
  await ended;
}, 600_000);
