import { afterEach, beforeEach, expect, test } from 'vitest';
import { reconciler } from '../../../functions/aws/reconcile.ts';
import { verifyAudit } from '../../../shared/audit/verify.ts';
import { createModel } from '../../../shared/registry/model.ts';
import { createWorkspace } from '../../../shared/registry/workspace.ts';
import { getEndpoint } from '../../../shared/serving/endpoint.ts';
import { GRACE_MS } from '../../../shared/storage/garbage.ts';
import { blobKey } from '../../../shared/storage/prefix.ts';
import { someone } from '../../support/local-ports.ts';
import { asRole, type FunctionPorts, invocation, openFunctionPorts, queueEvent } from './aws-fixture.ts';
import { openRecordedServing, REF } from './served-endpoint.ts';

const ada = someone('ada', 'admin');

let ports: FunctionPorts;
let served: ReturnType<typeof openRecordedServing>;
beforeEach(async () => {
  ports = await openFunctionPorts();
  served = openRecordedServing(ports);
});
afterEach(() => ports.close());

const deliver = (...bodies: unknown[]) =>
  reconciler({ ...asRole('reconcile', ports), serving: served.serving })(queueEvent(...bodies), invocation());
const status = async () => (await getEndpoint(ports, ada, REF)).status;

/** Source: docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_cwe_events.html. */
const SERVICE = 'arn:aws:ecs:us-east-1:123456789012:service/cairn/default_digits';
const ecsEvent = (detailType: string, resource: string, detail: object) => ({
  version: '0',
  id: 'ddca6449-b258-46c0-8653-e0e3aEXAMPLE',
  'detail-type': detailType,
  source: 'aws.ecs',
  account: '123456789012',
  time: '2026-11-24T12:31:14Z',
  region: 'us-east-1',
  resources: [resource],
  detail,
});
const TASK_STOPPED = ecsEvent(
  'ECS Task State Change',
  'arn:aws:ecs:us-east-1:123456789012:task/cairn/1dc5c17a',
  {
    clusterArn: 'arn:aws:ecs:us-east-1:123456789012:cluster/cairn',
    group: 'service:default_digits',
    lastStatus: 'STOPPED',
  },
);
const DEPLOYED = ecsEvent('ECS Deployment State Change', SERVICE, {
  eventName: 'SERVICE_DEPLOYMENT_COMPLETED',
  deploymentId: 'ecs-svc/123',
});

test('an endpoint that was made is rolled out, and then nothing is left to do', async () => {
  await served.endpoint();
  expect(await deliver({ endpoint: REF })).toEqual({ batchItemFailures: [] });
  for (const { work } of ports.sent) await deliver(work);
  expect(await status()).toMatchObject({ phase: 'idle', current: { version: 1, ready: 1 } });

  served.calls.length = 0;
  ports.sent.length = 0;
  await deliver({ task: 'reconcile' });
  expect([served.calls, ports.sent]).toEqual([[], []]);
  expect(ports.lines.at(-1)).toMatchObject({ task: 'reconcile', woken: 0 });
});

test('the timer wakes endpoints that move or were not looked at yet', async () => {
  await served.endpoint();
  await deliver({ task: 'reconcile' });
  expect(ports.sent).toEqual([{ work: { endpoint: REF }, delayMs: 0 }]);
  expect(served.calls).toEqual([]);
});

test('many messages of one endpoint are one look at it, whoever sent them', async () => {
  await served.endpoint();
  await deliver({ endpoint: REF });
  await deliver({ endpoint: REF });
  served.calls.length = 0;
  await deliver(TASK_STOPPED, DEPLOYED, { endpoint: REF }, { endpoint: REF });
  expect(served.calls).toEqual(['describeAlarms', 'observe']);
});

test('events of services that are not Cairn’s are nothing to it', async () => {
  const foreign = { ...DEPLOYED, resources: [SERVICE.replace('default_digits', 'Web-Service')] };
  expect(await deliver(foreign, ecsEvent('ECS Task State Change', 'x', {}))).toEqual({
    batchItemFailures: [],
  });
  expect(served.calls).toEqual([]);
});

test('while an endpoint moves, it is looked at again within the timer’s minute and no longer', async () => {
  await served.endpoint();
  const { platform } = served.serving;
  const moving = {
    ...served.serving,
    platform: { ...platform, kind: 'rollout' as const, rollOut: async () => {} },
  };
  const go = reconciler({ ...asRole('reconcile', ports), serving: moving });
  const began = ports.clock.now();
  let looks = 0;
  for (let work: unknown = { endpoint: REF }; work; looks++) {
    ports.sent.length = 0;
    await go(queueEvent(work), invocation());
    const [next] = ports.sent;
    work = next?.work;
    ports.clock.advance(next?.delayMs ?? 0);
  }
  expect(looks).toBeGreaterThan(3);
  expect(ports.clock.now() - began).toBeLessThanOrEqual(60_000);
  await deliver({ task: 'reconcile' });
  expect(ports.sent).toMatchObject([{ work: { endpoint: REF } }]);
});

test('of an endpoint whose platform does not answer, all messages come again, and only those', async () => {
  await served.endpoint();
  const failing = {
    ...served.serving,
    platform: { ...served.serving.platform, kind: 'rollout' as const, observe },
  };
  async function observe(): Promise<never> {
    throw new Error('Rate exceeded');
  }
  const go = reconciler({ ...asRole('reconcile', ports), serving: failing });
  const answer = await go(
    queueEvent({ endpoint: REF }, { task: 'checkpoint' }, DEPLOYED, 'nonsense'),
    invocation(),
  );
  expect(answer.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier).sort()).toEqual([
    'message-1',
    'message-3',
    'message-4',
  ]);
});

test('what still runs for an endpoint that is gone is found by the hourly task, and withdrawn', async () => {
  await deliver({ task: 'clean-up' });
  expect(ports.sent).toEqual([{ work: { endpoint: REF }, delayMs: 0 }]);
  await deliver(ports.sent[0]?.work);
  expect(served.calls).toContain('withdraw');
});

test('checkpoints are signed', async () => {
  await deliver({ task: 'checkpoint' });
  const { ok, checkpointAt } = await verifyAudit(ports, 'default');
  expect([ok, checkpointAt]).toEqual([true, ports.clock.now()]);
});

test('of checkpoints of which one cannot be signed, the others are, and the message comes again', async () => {
  for (const name of ['a', 'b', 'c']) await createWorkspace(ports, ada, { name, description: '' });
  const deps = asRole('reconcile', ports);
  const put: typeof deps.blobs.put = async (key, ...rest) => {
    if (key.startsWith('workspaces/b/')) throw new Error('a fault');
    return deps.blobs.put(key, ...rest);
  };
  const go = reconciler({ ...deps, blobs: { ...deps.blobs, put }, serving: undefined });
  const answer = await go(queueEvent({ task: 'checkpoint' }), invocation());
  expect(answer).toEqual({ batchItemFailures: [{ itemIdentifier: 'message-1' }] });
  const signed = async (name: string) => (await verifyAudit(ports, name)).checkpointAt !== undefined;
  expect(await Promise.all(['a', 'b', 'c'].map(signed))).toEqual([true, false, true]);
  expect(ports.lines).toContainEqual(
    expect.objectContaining({ workspace: 'b', message: 'no audit checkpoint could be signed' }),
  );
});

test('a clean-up that runs out of time goes on behind the model it came to', async () => {
  for (const name of ['a', 'b', 'c']) {
    await createModel(ports, ada, { workspace: 'default', name, description: '', tags: {} });
  }
  const go = reconciler({ ...asRole('reconcile', ports), serving: undefined });
  const cleaned: unknown[] = [];
  for (let work: unknown = { task: 'clean-up' }; work; ) {
    ports.sent.length = 0;
    await go(queueEvent(work), invocation(0));
    work = ports.sent[0]?.work;
    cleaned.push(work);
  }
  expect(cleaned).toEqual([
    { task: 'clean-up', after: { workspace: 'default', model: 'a' } },
    { task: 'clean-up', after: { workspace: 'default', model: 'b' } },
    undefined,
  ]);
});

test('a model that cannot be cleaned up is logged, and the last message of the round fails for it', async () => {
  for (const name of ['a', 'b']) {
    const { id } = await createModel(ports, ada, { workspace: 'default', name, description: '', tags: {} });
    await ports.blobs.put(blobKey('default', id, '0'.repeat(64)), Buffer.from('x'));
  }
  ports.clock.advance(Date.now() - ports.clock.now() + 2 * GRACE_MS);
  let deletions = 0;
  const blobs: FunctionPorts['blobs'] = {
    ...ports.blobs,
    delete: async (key) => {
      if (deletions++ === 0) throw new Error('a fault');
      await ports.blobs.delete(key);
    },
  };
  const go = reconciler({ ...ports, blobs, serving: undefined });
  expect((await go(queueEvent({ task: 'clean-up' }), invocation(0))).batchItemFailures).toEqual([]);
  const work = ports.sent.at(-1)?.work;
  expect(work).toEqual({ task: 'clean-up', after: { workspace: 'default', model: 'a' }, failed: 1 });
  expect((await go(queueEvent(work), invocation(0))).batchItemFailures).toHaveLength(1);
  expect(deletions).toBe(2);
  expect(ports.lines).toContainEqual(
    expect.objectContaining({ message: 'could not be cleaned up', workspace: 'default', model: 'a' }),
  );
});
