import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runServer } from '../tools/run-server.ts';
import { cairn, json } from './cairn-command.ts';
import { say, scene, stepIs } from './story.ts';
import { type DigitsTest, startTraffic } from './traffic.ts';

/**
 * A model's whole life on one machine, with real handwritten digits: push, deploy, predict, canary, a bad version, the
 * alarm, the way back by itself, and the record of it. Exits non-zero when a step is not as told.
 */

const MODELS = join(import.meta.dirname, '../test/models/digits');
const work = await mkdtemp(join(tmpdir(), 'cairn-demo-'));

async function tellTheStory(url: string, token: string): Promise<void> {
  const test = JSON.parse(await readFile(join(MODELS, 'test.json'), 'utf8')) as DigitsTest;
  const traffic = startTraffic(`${url}/endpoints/default/digits`, token, test);

  scene('Ada pushes her first model and puts it behind an endpoint');
  await cairn('push', join(MODELS, 'digits-v1.onnx'), 'digits', '--message', 'Logistic regression');
  await cairn(
    'deploy',
    '--endpoint',
    'digits',
    '--spec',
    await spec(1, { type: 'all-at-once', bakeSeconds: 1 }),
  );
  const first = await traffic.accuracy();
  say(`  ${test.images.length} real images: ${percent(first)} right.`);
  stepIs('version 1 is a weak but honest model', first > 0.8 && first < 0.95);

  scene('A better one goes live as a canary, under traffic');
  await cairn('push', join(MODELS, 'digits-v2.onnx'), 'digits', '--message', 'A small neural network');
  traffic.start();
  await cairn(
    'deploy',
    '--endpoint',
    'digits',
    '--spec',
    await spec(2, { type: 'canary', canaryPercent: 20, canarySeconds: 3, bakeSeconds: 1 }),
  );
  const canary = await traffic.pause();
  say(`  Meanwhile ${tell(canary.byVersion)}; ${canary.failed} failed.`);
  stepIs('no request failed during the rollout', canary.failed === 0 && (canary.byVersion[2] ?? 0) > 0);
  const second = await traffic.accuracy();
  say(`  The same images: ${percent(second)} right.`);
  stepIs('version 2 is better', second > first && second > 0.95);

  scene('Version 3 passes every check, but breaks on images that only production sees');
  await cairn(
    'push',
    join(MODELS, 'digits-v3-broken.onnx'),
    'digits',
    '--message',
    'Faster: intensities from a table',
  );
  traffic.start();
  const deployed = cairn(
    'deploy',
    '--endpoint',
    'digits',
    '--spec',
    await spec(3, { type: 'canary', canaryPercent: 30, canarySeconds: 60, bakeSeconds: 60 }),
  );
  const exit = await deployed.catch((error: Error) => error);
  const broken = await traffic.pause();
  say(`  Meanwhile ${tell(broken.byVersion)}; ${broken.failed} failed, all of them on version 3.`);
  stepIs('the deploy command says that the version was given up', exit instanceof Error);
  stepIs('only version 3 failed', broken.failed > 0 && broken.failed === broken.failedByVersion[3]);

  scene('Nobody woke up: the endpoint is back on version 2');
  const { status } = (await json('status', 'digits')) as { status: EndpointStatus };
  say(`  ${status.lastRollback?.reason}`);
  stepIs('all traffic is on version 2', status.traffic.length === 1 && status.traffic[0]?.version === 2);
  stepIs('the alarm is the reason', /Threshold Crossed/.test(status.lastRollback?.reason ?? ''));
  const after = await traffic.accuracy();
  stepIs(`predictions are right again (${percent(after)})`, after === second);

  scene('And there is a record of it that nobody can rewrite');
  await cairn('audit', 'digits', '--limit', '6');
  const trail = (await json('audit', 'digits', '--limit', '20')) as {
    items: { action: string; reason?: string }[];
  };
  const entry = trail.items.find(({ action }) => action === 'endpoint.rolled-back');
  stepIs('the audit trail has the rollback with its reason', /Threshold Crossed/.test(entry?.reason ?? ''));
  await cairn('audit', 'verify');
}

interface EndpointStatus {
  readonly traffic: readonly { version: number; percent: number }[];
  readonly lastRollback?: { reason: string };
}

/** Writes the endpoint's spec to a file: an alarm that looks at each 10 s, so that the story stays short. */
async function spec(version: number, strategy: Record<string, unknown>): Promise<string> {
  const alarm = { period: 10, evaluationPeriods: 1, datapointsToAlarm: 1 };
  const path = join(work, `endpoint-v${version}.json`);
  const content = {
    model: 'digits',
    target: { version },
    strategy,
    alarms: { errorRate: { threshold: 5, ...alarm }, latencyP99: { threshold: 2000, ...alarm } },
  };
  await writeFile(path, JSON.stringify(content, null, 2));
  return path;
}

const percent = (share: number) => `${(share * 100).toFixed(1)} %`;

const tell = (byVersion: Readonly<Record<number, number>>) =>
  Object.entries(byVersion)
    .map(([version, count]) => `version ${version} answered ${count} requests`)
    .join(', ');

const began = performance.now();
const token = `demo-${randomBytes(16).toString('hex')}`;
const server = await runServer(join(work, 'data'), { CAIRN_ADMIN_TOKEN: token });
process.env.CAIRN_URL = server.url;
process.env.CAIRN_TOKEN = token;

try {
  await tellTheStory(server.url, token);
  say(`\nThe whole story took ${Math.round((performance.now() - began) / 1000)} s.`);
} catch (error) {
  process.exitCode = 1;
  say(`\nThe story did not go as told: ${error instanceof Error ? error.message : String(error)}`);
  say(server.output());
} finally {
  await server.stop();
  await rm(work, { recursive: true, force: true });
}
