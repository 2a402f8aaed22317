import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ProcessLedger } from '../../../../shared/adapters/local/process-ledger.ts';
import { openPythonEnvironments } from '../../../../shared/adapters/local/python-environments.ts';

let folder: string;
const { PATH } = process.env;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cairn-python-'));
});
afterEach(async () => {
  process.env.PATH = PATH;
  await rm(folder, { recursive: true, force: true });
});

test('a machine without Python says which it looked for', async () => {
  const pythons = await openPythonEnvironments(join(folder, 'python'), new ProcessLedger(folder));
  process.env.PATH = folder;
  const wish = { requirements: ['numpy'], constraints: [], version: '3.11' };
  await expect(pythons.interpreterFor(wish, () => undefined)).rejects.toThrow(
    'there is no Python on this machine: none of python3.11, python3, python is on the PATH',
  );
});
