import { afterAll, beforeAll, expect, test } from 'vitest';
import { type InstalledCli, installCli } from './harness.ts';

let cli: InstalledCli;
beforeAll(async () => {
  cli = await installCli(() => ({}));
});
afterAll(() => cli.remove());

const completed = async (...words: string[]) =>
  (await cli.run(['complete', '--', ...words])).stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t')[0]);

test('verbs, the words below them and options are completed', async () => {
  expect(await completed('pu')).toEqual(['push', 'pull', 'purge']);
  expect(await completed('token', '')).toEqual(['create', 'list', 'revoke', 'help']);
  expect(await completed('token', 'create', '--ro')).toEqual(['--role']);
  expect(await completed('-w', 'team', 'rollback', 'digits', '--re')).toEqual(['--reason']);
  expect(await completed('models', '--js')).toEqual(['--json']);
});

test('where a path, a name or an option’s value stands, the shell is left to complete files', async () => {
  expect(await completed('push', './mod')).toEqual([]);
  expect(await completed('predict', 'digits', '--input', '')).toEqual([]);
  expect(await completed('--url', 'pu')).toEqual([]);
  expect(await completed('push', '--', '--me')).toEqual([]);
});

test.each(['tcsh', '__proto__'])('another shell is told which there are: %s', async (shell) => {
  const { status, stderr } = await cli.run(['completion', shell]);
  expect([status, stderr]).toEqual([2, expect.stringContaining('There are bash, zsh, fish.')]);
});
