import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test('the demo goes as told, and the bad version is gone without anybody’s doing', {
  timeout: 180_000,
}, () => {
  const run = spawnSync(process.execPath, [join(import.meta.dirname, '../demo/main.ts')], {
    encoding: 'utf8',
  });
  expect(run.stdout + run.stderr).toContain('all traffic is on version 2');
  expect(run.status).toBe(0);
});
