import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
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

test('an import that is killed half-way goes on where it was, with a bar on a terminal', async () => {
  process.env.MLFLOW_TRACKING_TOKEN = TOKEN;
  const folder = await mkdtemp(join(tmpdir(), 'cairn-import-'));
  const python = await pythonEnv('mlflow', requirements(NEWEST));
  const own = await startMlflowServer(python, folder);
  const server = await startServer(join(folder, 'data'));
  const cli = await installCli(() => ({ CAIRN_URL: server.url, CAIRN_TOKEN: TOKEN }));
  const importing = ['import', 'mlflow', '--from', own.url];
  const imported = async () => {
    const { body } = await server.api('POST', '/api/2.0/mlflow/experiments/search', { max_results: 100 });
    const experiment_ids = (body.experiments ?? []).map(
      (one: { experiment_id: string }) => one.experiment_id,
    );
    const filter = "tags.`cairn.imported.from` LIKE '%'";
    const search = { experiment_ids, filter, max_results: 1000 };
    return ((await server.api('POST', '/api/2.0/mlflow/runs/search', search)).body.runs ?? []).length;
  };
  try {
    await runPython(python, 'mlflow_import.py', ['many', own.url]);
    const first = cli.start(importing);
    const ended = once(first, 'close');
    while ((await imported()) < 3) if (first.exitCode !== null) break;
    first.kill('SIGKILL');
    await ended;
    const there = await imported();
    expect(there).toBeGreaterThanOrEqual(3);
    expect(there).toBeLessThan(40);

    const [file = '', ...args] = cli.start(['--version']).spawnargs;
    const command = [file, args[0], ...importing].map((word) => `'${word}'`).join(' ');
    const env = {
      PATH: process.env.PATH,
      TERM: 'xterm',
      CAIRN_URL: server.url,
      CAIRN_TOKEN: TOKEN,
      HOME: folder,
    };
    const drawn = spawnSync('/usr/bin/script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      env,
      encoding: 'utf8',
    });
    expect(drawn.status, drawn.stdout).toBe(0);
    expect(drawn.stdout).toMatch(/Importing \[#+\.*\] +\d+ % {2}\d+ of 40 runs and versions, [\d.]+ [kM]i?B/);
    expect(drawn.stdout).toMatch(new RegExp(`Imported .*\\b${40 - there} runs`));
    expect(drawn.stdout).toContain(`${there} runs that were there`);
    expect(await runPython(python, 'mlflow_import.py', ['check-many', server.url])).toContain('checked');
  } finally {
    await Promise.all([own.stop(), server.stop(), cli.remove()]);
    await rm(folder, { recursive: true, force: true });
  }
}, 600_000);
