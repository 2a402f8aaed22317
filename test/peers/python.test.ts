import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { startMlflowServer } from './mlflow-server.ts';
import { pythonEnv } from './python.ts';

const exec = promisify(execFile);
const NOTHING = '# nothing but Python\n';

const folders: string[] = [];
const make = async (name: string) => {
  const folder = dirname(dirname(await pythonEnv(name, NOTHING)));
  folders.push(folder);
  return folder;
};
const made = async (folder: string) => (await stat(join(folder, 'pyvenv.cfg'))).mtimeMs;
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

test('a Python environment is made once, and anew when its interpreter is gone or it was left half made', async () => {
  const folder = await make('remade');
  const first = await made(folder);
  await make('remade');
  expect(await made(folder)).toBe(first);
  const python = join(folder, 'bin/python');
  await rm(python);
  await symlink('/nowhere/python', python);
  await make('remade');
  const second = await made(folder);
  expect(second).not.toBe(first);
  await rm(join(folder, 'requirements.txt'));
  await writeFile(join(folder, 'lib/half'), '');
  await make('remade');
  await expect(stat(join(folder, 'lib/half'))).rejects.toThrow('ENOENT');
}, 120_000);

test('an environment that was copied from elsewhere is made anew: its scripts run the other one', async () => {
  const from = await make('elsewhere');
  const to = join(dirname(from), basename(from).replace('elsewhere', 'copied'));
  await cp(from, to, { recursive: true, verbatimSymlinks: true });
  const prefix = async () => (await exec(join(to, 'bin/pip'), ['--version'])).stdout;
  expect(await prefix()).toContain(from);
  expect(await make('copied')).toBe(to);
  expect(await prefix()).toContain(to);
}, 120_000);

test('an environment without MLflow is told of in a sentence', async () => {
  const python = join(await make('without-mlflow'), 'bin/python');
  const folder = await mkdtemp(join(tmpdir(), 'cairn-mlflow-'));
  folders.push(folder);
  await expect(startMlflowServer(python, folder)).rejects.toThrow(
    /^MLflow's server does not start \(.*ENOENT\): remove .*without-mlflow/,
  );
}, 120_000);
