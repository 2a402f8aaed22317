import { afterEach, beforeEach, expect, test } from 'vitest';
import { answerRevisionFiles } from '../../../functions/revision-files/handler.ts';
import { endpointKey, statusKey } from '../../../shared/serving/keys.ts';
import { filesToken } from '../../../shared/serving/revision-files.ts';
import { initialState, type Revision, type RolloutState } from '../../../shared/serving/rollout.ts';
import { type LocalPorts, openLocalPorts } from '../../support/local-ports.ts';

const REF = { workspace: 'default', endpoint: 'digits' };
const KEY = 'workspaces/default/models/m1/blobs/sha256/aa/model';
const BYTES = 'an ONNX file';

let ports: LocalPorts;
beforeEach(async () => {
  ports = await openLocalPorts();
  await ports.blobs.put(KEY, Buffer.from(BYTES));
});
afterEach(() => ports.close());

const revision = (number: number): Revision => ({
  revision: number,
  generation: 1,
  template: { modelId: 'm1', model: 'digits', version: number, resources: { cpu: 1, memoryMiB: 512 } },
});

async function endpointWith(state: Partial<RolloutState>) {
  const motion = initialState({ lastRevision: 9, lastRollout: 9 });
  const bodies = [
    { ...endpointKey(REF), body: {} },
    { ...statusKey(REF), body: { state: { ...motion, ...state } } },
  ];
  for (const put of bodies) {
    const before = await ports.table.get(put);
    await ports.table.transact([{ put, if: before ? { rev: before.rev } : 'absent' }]);
  }
}

async function ask(
  number: number,
  changes: { token?: string; after?: string; path?: string; files?: number } = {},
) {
  const { files = 1, token = await filesToken(ports.keys, { ...REF, revision: number }) } = changes;
  const versions = {
    listFiles: async (_: string, modelId: string, version: number) =>
      Array.from({ length: files }, (_, n) => ({
        path: `${modelId}-v${version}-${n}.onnx`,
        size: BYTES.length,
        sha256: 'a'.repeat(64),
        key: KEY,
      })),
  };
  const answer = await answerRevisionFiles(
    { ...ports, versions },
    {
      method: 'GET',
      path: changes.path ?? `/revisions/default/digits/${number}/files`,
      after: changes.after,
      authorization: `Bearer ${token}`,
    },
  );
  return { status: answer.status, body: JSON.parse(answer.body) };
}

test('a replica gets the files of its revision by URLs that work without any credentials', async () => {
  await endpointWith({ current: { ...revision(3), good: true, trafficSince: 0 } });
  const { status, body } = await ask(3);
  expect(status).toBe(200);
  expect(body.files).toMatchObject([{ path: 'm1-v3-0.onnx', size: BYTES.length, sha256: 'a'.repeat(64) }]);
  expect(await (await fetch(body.files[0].url)).text()).toBe(BYTES);
});

test('also a month later, and of a revision that may be gone back to, with the same token', async () => {
  await endpointWith({ current: { ...revision(3), good: true, trafficSince: 0 } });
  const token = await filesToken(ports.keys, { ...REF, revision: 3 });
  ports.clock.advance(30 * 24 * 3_600_000);
  await endpointWith({
    current: { ...revision(4), good: true, trafficSince: 0 },
    previous: { ...revision(3), keepUntil: 0 },
  });
  const { body } = await ask(3, { token });
  expect(await (await fetch(body.files[0].url)).text()).toBe(BYTES);
});

test('not when the endpoint needs the revision no more, or is gone', async () => {
  expect(await ask(3)).toMatchObject({ status: 404, body: { code: 'ENDPOINT_NOT_FOUND' } });
  await endpointWith({ current: { ...revision(4), good: true, trafficSince: 0 } });
  expect(await ask(3)).toMatchObject({ status: 404, body: { code: 'ENDPOINT_NOT_FOUND' } });
});

test('not with the token of another revision, endpoint or workspace, a forged one, or none', async () => {
  await endpointWith({ current: { ...revision(3), good: true, trafficSince: 0 } });
  const good = await filesToken(ports.keys, { ...REF, revision: 3 });
  const tokens = [
    await filesToken(ports.keys, { ...REF, revision: 4 }),
    await filesToken(ports.keys, { ...REF, revision: 3, endpoint: 'other' }),
    await filesToken(ports.keys, { ...REF, revision: 3, workspace: 'other' }),
    good.slice(0, -8),
    good.replace(/\.[^.]+\./, '.b3RoZXI.'),
    'cairn-revision..',
    'x',
  ];
  for (const token of tokens) {
    expect(await ask(3, { token }), token).toMatchObject({ status: 401, body: { code: 'UNAUTHENTICATED' } });
  }
});

test('a long list comes in pages that stay below what a load balancer takes', async () => {
  await endpointWith({ current: { ...revision(3), good: true, trafficSince: 0 } });
  const paths: string[] = [];
  for (let after: string | undefined; ; ) {
    const { body } = await ask(3, { files: 450, ...(after === undefined ? {} : { after }) });
    expect(body.files.length).toBeLessThanOrEqual(200);
    paths.push(...body.files.map(({ path }: { path: string }) => path));
    if (body.next === undefined) break;
    after = String(body.next);
  }
  expect(new Set(paths).size).toBe(450);
  expect(paths).toHaveLength(450);
});

test.each([
  '/',
  '/revisions/default/digits/0/files',
  '/revisions/default/../3/files',
  '/endpoints/default/digits/ping',
])('there is nothing else: %s', async (path) => {
  expect(await ask(3, { path })).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
});
