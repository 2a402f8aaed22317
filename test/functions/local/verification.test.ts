import { createHash } from 'node:crypto';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startVerification } from '../../../functions/local/verification.ts';
import type { Ports } from '../../../shared/ports/ports.ts';
import { requestCompletion } from '../../../shared/registry/complete-upload.ts';
import { lfsState, verifyLfsLater } from '../../../shared/registry/lfs-verification.ts';
import { createModel, type StoredModel } from '../../../shared/registry/model.ts';
import { createUpload, signParts } from '../../../shared/registry/upload.ts';
import { findVersion } from '../../../shared/registry/version.ts';
import { blobKey, lfsStagingKey } from '../../../shared/storage/prefix.ts';
import { type LocalPorts, openLocalPorts, someone } from '../../support/local-ports.ts';

const ada = someone('ada', 'admin');
const ref = { workspace: 'default', name: 'digits' };
const draft = { message: 'm', description: '', tags: {}, source: { via: 'upload' as const } };
const logger = pino({ level: 'silent' });
const bytes = Buffer.from('weights');
const sha256 = createHash('sha256').update(bytes).digest('hex');
const WAIT = { timeout: 20_000 };

let ports: LocalPorts;
let model: StoredModel;
const opened: { close(): Promise<void> }[] = [];
beforeEach(async () => {
  ports = await openLocalPorts();
  model = await createModel(ports, ada, { ...ref, description: '', tags: {} });
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((verification) => verification.close()));
  await ports.close();
});

const start = (on: Ports = ports) => {
  const verification = startVerification(on, logger, { again: 1 });
  opened.push(verification);
  return verification;
};

/** An upload whose bytes have come and whose completion was requested. */
async function sent(announced = sha256) {
  const { upload } = await createUpload(ports, ada, ref, draft, [
    { path: 'w.bin', size: bytes.length, sha256: announced },
  ]);
  const at = { ...ref, upload: upload.id };
  const [part] = await signParts(ports, ada, at, { path: 'w.bin', from: 1, count: 1 });
  expect((await fetch(part?.url ?? '', { method: 'PUT', body: bytes })).status).toBe(200);
  await requestCompletion(ports, ada, at);
  return at;
}
const status = async (number: number) => (await findVersion(ports.table, model.id, number)).status;

test('what is ordered becomes READY, or FAILED with the reason', async () => {
  const { verifyLater } = start();
  await verifyLater(await sent());
  await verifyLater(await sent('0'.repeat(64)));
  await vi.waitFor(async () => expect([await status(1), await status(2)]).toEqual(['READY', 'FAILED']), WAIT);
});

test('what an earlier process was told and did not finish is verified by the next one', async () => {
  await sent();
  const upload = 'an-upload';
  await ports.blobs.put(lfsStagingKey('default', model.id, upload), bytes);
  await verifyLfsLater(ports, model, { oid: sha256, size: bytes.length }, upload, async () => undefined);
  await start().resume();
  await vi.waitFor(async () => {
    expect(await status(1)).toBe('READY');
    expect(await ports.blobs.stat(blobKey('default', model.id, sha256))).toBeDefined();
    expect(await lfsState(ports, model, sha256)).toBeUndefined();
  }, WAIT);
});

test('a fault of the store is tried again', async () => {
  let faults = 0;
  const blobs: Ports['blobs'] = {
    ...ports.blobs,
    copy: (...of) => (faults++ === 0 ? Promise.reject(new Error('broken')) : ports.blobs.copy(...of)),
  };
  const { verifyLater } = start({ ...ports, blobs });
  await verifyLater(await sent());
  await vi.waitFor(async () => expect([await status(1), faults]).toEqual(['READY', 2]), WAIT);
});
