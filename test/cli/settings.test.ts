import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { configFile, readSettings } from '../../cli/settings.ts';

const TOLD = { CAIRN_URL: 'http://127.0.0.1:7070', CAIRN_TOKEN: 'cairn_told' };
let env: { XDG_CONFIG_HOME: string };

beforeEach(async () => {
  env = { XDG_CONFIG_HOME: await mkdtemp(join(tmpdir(), 'cairn-settings-')) };
});
afterEach(() => rm(env.XDG_CONFIG_HOME, { recursive: true }));

test('a damaged login is no obstacle to a command that is told server and token', async () => {
  await mkdir(dirname(configFile(env)));
  await writeFile(configFile(env), '{"format":1');
  expect(await readSettings({}, { ...env, ...TOLD })).toMatchObject({
    token: 'cairn_told',
    urlFrom: 'CAIRN_URL',
  });
  await expect(readSettings({}, { ...env, CAIRN_URL: TOLD.CAIRN_URL })).rejects.toMatchObject({
    problem: { code: 'CONFIG_UNREADABLE' },
  });
});
