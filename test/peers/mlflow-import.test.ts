import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { expect, test } from 'vitest';
import { installCli } from '../cli/harness.ts';
import { startServer, TOKEN } from '../support/server.ts';
import { NEWEST, requirements } from './mlflow-requirements.ts';
import { startMlflowServer } from './mlflow-server.ts';
import { pythonEnv, runPython } from './python.ts';

test('cairn import brings models, versions, aliases, runs and artifacts of a running MLflow server, once', async () => {
  process.env.MLFLOW_TRACKING_TOKEN = TOKEN;
  const folder = await mkdtemp(join(tmpdir(), 'cairn-import-'));
  const python = await pythonEnv('mlflow', requirements(NEWEST));
  const own = await startMlflowServer(python, folder);
  const server = await startServer(join(folder, 'data'));
  const cli = await installCli(() => ({ CAIRN_URL: server.url, CAIRN_TOKEN: TOKEN }));
  try {
    await runPython(python, 'mlflow_import.py', ['fill', own.url]);
    const first = await cli.json(['import', 'mlflow', '--from', own.url]);
    expect(first.counts).toMatchObject({ runs: 2, versions: 3, 'registered models': 2 });
    expect(first.problems).toEqual([]);
    expect(await runPython(python, 'mlflow_import.py', ['check', server.url])).toContain('checked');
    const again = await cli.json(['import', 'mlflow', '--from', own.url]);
    expect(again.counts).toEqual({ experiments: 2, 'runs that were there': 2, 'registered models': 2 });
  } finally {
    await Promise.all([own.stop(), server.stop(), cli.remove()]);
    await rm(folder, { recursive: true, force: true });
  }
}, 600_000);
