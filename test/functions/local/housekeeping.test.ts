import pino from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startHousekeeping } from '../../../functions/local/housekeeping.ts';
import { openInProcessBus } from '../../../shared/adapters/local/in-process-bus.ts';
import { createVersion } from '../../../shared/registry/create-version.ts';
import { createModel } from '../../../shared/registry/model.ts';
import { readRepository } from '../../../shared/registry/repository.ts';
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
