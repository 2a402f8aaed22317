import { afterAll, beforeAll, expect, test } from 'vitest';
import { type InstalledCli, installCli } from './harness.ts';

let cli: InstalledCli;
beforeAll(async () => {
  cli = await installCli(() => ({}));
});
afterAll(() => cli.remove());

test('a mistyped word is answered with the help of the verb that it stands below', async () => {
  const said = async (...args: string[]) => (await cli.run(args)).stderr;
  expect(await said('psh')).toMatch(/Did you mean push\?[\s\S]*`cairn --help`/);
  expect(await said('token', 'creat', 'x')).toMatch(/Did you mean create\?[\s\S]*`cairn token --help`/);
  expect(await said('token', 'create')).toContain('`cairn token create --help`');
  expect(await said('-w', 'team', 'push', '--mesage', 'x')).toMatch(
    /Did you mean --message\?[\s\S]*`cairn push --help`/,
  );
});
