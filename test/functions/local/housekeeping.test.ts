import pino from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startHousekeeping } from '../../../functions/local/housekeeping.ts';
import { processMetrics } from '../../../functions/local/process-metrics.ts';
import { openInProcessBus } from '../../../shared/adapters/local/in-process-bus.ts';
import { verifyAudit } from '../../../shared/audit/verify.ts';
import { createVersion } from '../../../shared/registry/create-version.ts';
import { createModel } from '../../../shared/registry/model.ts';
import { readRepository } from '../../../shared/registry/repository.ts';
import { createWorkspace } from '../../../shared/registry/workspace.ts';
import { GRACE_MS } from '../../../shared/storage/garbage.ts';
import { blobKey } from '../../../shared/storage/prefix.ts';
import { type LocalPorts, openLocalPorts, someone } from '../../support/local-ports.ts';

const ada = someone('ada', 'admin');

let local: LocalPorts;
beforeEach(async () => {
  local = await openLocalPorts();
});
afterEach(async () => {
  vi.useRealTimers();
  await local.close();
});

test('a repository of many commits is consolidated when no more come, and one of few is left as it is', async () => {
  const bus = openInProcessBus(() => undefined);
  const ports = { ...local, bus };
  const models = await Promise.all(
    ['many', 'few'].map((name) =>
      createModel(ports, ada, { workspace: 'default', name, description: '', tags: {} }),
    ),
  );
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const housekeeping = startHousekeeping(ports, pino({ level: 'silent' }), bus.subscribe);
  const draft = { message: '', description: '', tags: {}, source: { via: 'api' as const } };
  for (let n = 0; n < 70; n++) {
    const name = n < 65 ? 'many' : 'few';
    const file = { path: 'a.txt', bytes: Buffer.from(String(n)) };
    await createVersion(ports, ada, { workspace: 'default', name }, draft, [file]);
  }
  const upTo = async () =>
    Promise.all(
      models.map(async ({ id }) => (await readRepository(ports.table, id)).body.consolidated?.upTo),
    );
  await vi.advanceTimersByTimeAsync(9_000);
  expect(await upTo()).toEqual([undefined, undefined]);
  await vi.advanceTimersByTimeAsync(2_000);
  await housekeeping.close();
  expect(await upTo()).toEqual([65, undefined]);
});

test('a model that cannot be cleaned up is in the log and in the metrics', async () => {
  const bus = openInProcessBus(() => undefined);
  const { id } = await createModel({ ...local, bus }, ada, {
    workspace: 'default',
    name: 'broken',
    description: '',
    tags: {},
  });
  await local.blobs.put(blobKey('default', id, '0'.repeat(64)), Buffer.from('x'));
  local.clock.advance(Date.now() - local.clock.now() + 2 * GRACE_MS);
  const fault = () => Promise.reject(new Error('a fault'));
  const ports = { ...local, bus, blobs: { ...local.blobs, delete: fault } };
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const lines: string[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(line) });
  const housekeeping = startHousekeeping(ports, logger, bus.subscribe);
  const metrics = processMetrics(housekeeping.failures);
  expect(await metrics()).toContain('\ncairn_clean_up_failures 0\n');
  await vi.advanceTimersByTimeAsync(60 * 60_000);
  await housekeeping.close();
  expect(await metrics()).toContain('\ncairn_clean_up_failures 1\n');
  expect(lines.map((line) => JSON.parse(line))).toContainEqual(
    expect.objectContaining({
      level: 50,
      part: 'model',
      workspace: 'default',
      model: 'broken',
      msg: 'could not be cleaned up: tried again in an hour',
    }),
  );
});

test('a workspace whose audit checkpoint cannot be signed is in the log and in the metrics, and keeps no other from it', async () => {
  const bus = openInProcessBus(() => undefined);
  for (const name of ['a', 'b', 'c'])
    await createWorkspace({ ...local, bus }, ada, { name, description: '' });
  let broken = true;
  const put: typeof local.blobs.put = async (key, ...rest) => {
    if (broken && key.startsWith('workspaces/b/')) throw new Error('a fault');
    return local.blobs.put(key, ...rest);
  };
  const ports = { ...local, bus, blobs: { ...local.blobs, put } };
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const lines: string[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(line) });
  const housekeeping = startHousekeeping(ports, logger, bus.subscribe);
  const metrics = processMetrics(housekeeping.failures);
  await vi.advanceTimersByTimeAsync(5 * 60_000);
  const signed = async () =>
    Promise.all(
      ['a', 'b', 'c'].map(async (name) => (await verifyAudit(local, name)).checkpointAt !== undefined),
    );
  await vi.waitFor(async () => expect(await metrics()).toContain('\ncairn_checkpoint_failures 1\n'));
  expect(await signed()).toEqual([true, false, true]);
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { level: 50, workspace: 'b', msg: 'no audit checkpoint could be signed: tried again in five minutes' },
  ]);
  broken = false;
  await housekeeping.close();
  expect(await signed()).toEqual([true, true, true]);
  expect(await metrics()).toContain('\ncairn_checkpoint_failures 0\n');
});
