import { expect, test, vi } from 'vitest';
import { startEmf } from '../../../functions/model-server/emf.ts';
import { asksFor, digitsModel, testSet } from './digits-data.ts';
import { startReady } from './start.ts';

const REVISION = { workspace: 'default', endpoint: 'digits', revision: 3 };

function reporter() {
  const clock = { at: 1_000_000_003_000 };
  // biome-ignore lint/suspicious/noExplicitAny: a line has the metrics' names as fields
  const lines: any[] = [];
  const emf = startEmf(
    REVISION,
    (line) => lines.push(JSON.parse(line)),
    () => clock.at,
  );
  return { clock, lines, emf };
}

test('each metric of a period is written once for the endpoint and once for its revision', () => {
  const { clock, lines, emf } = reporter();
  emf.record({ status: 200, latency: 1.23456, model: 1, queue: 0.1 });
  emf.record({ status: 200, latency: 1.2349, model: 1, queue: 0.1 });
  emf.record({ status: 503, latency: 40 });
  clock.at += 5000;
  emf.record({ status: 400, latency: 0.5 });
  expect(lines).toEqual([]);
  clock.at += 2000;
  emf.record({ status: 200, latency: 9 });
  expect(lines).toHaveLength(2);
  expect(lines.map(({ Revision }) => Revision)).toEqual([undefined, '3']);
  for (const line of lines) {
    expect(line).toMatchObject({
      Workspace: 'default',
      Endpoint: 'digits',
      Requests: { Values: [1], Counts: [4] },
      Errors4xx: { Values: [0, 1], Counts: [3, 1] },
      Errors5xx: { Values: [0, 1], Counts: [3, 1] },
      Latency: { Values: [1.23, 40, 0.5], Counts: [2, 1, 1] },
      ModelLatency: { Values: [1], Counts: [2] },
      _aws: { Timestamp: 1_000_000_000_000 },
    });
    expect(line._aws.CloudWatchMetrics[0]).toMatchObject({ Namespace: 'Cairn' });
  }
  emf.flush();
  expect(lines).toHaveLength(4);
  emf.flush();
  expect(lines).toHaveLength(4);
});

test('a period is written when it is over, also if no request follows', () => {
  vi.useFakeTimers();
  try {
    const { lines, emf } = reporter();
    emf.record({ status: 200, latency: 1 });
    vi.advanceTimersByTime(6999);
    expect(lines).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(lines).toHaveLength(2);
    vi.advanceTimersByTime(60_000);
    expect(lines).toHaveLength(2);
  } finally {
    vi.useRealTimers();
  }
});

test('a replica that is asked to writes metrics on standard output, the last ones before it ends, and tells its revision', async () => {
  const server = await startReady(digitsModel('digits-v2'), {
    environment: {
      CAIRN_METRICS: 'emf',
      CAIRN_WORKSPACE: 'default',
      CAIRN_ENDPOINT: 'digits',
      CAIRN_REVISION: '3',
      CAIRN_BASE_PATH: '/endpoints/default/digits',
    },
  });
  const whole = await server.post(
    '/endpoints/default/digits/v2/models/digits/infer',
    asksFor(testSet.images.slice(0, 1)),
  );
  expect(whole.status).toBe(200);
  expect(whole.headers).toMatchObject({ 'cairn-revision': '3', 'cairn-version': '1' });
  expect((await server.post('/v2/models/digits/infer', {})).status).toBe(400);
  expect((await server.send('GET', '/endpoints/default/digits/ping')).status).toBe(200);
  expect((await server.send('GET', '/endpoints/default/other/ping')).status).toBe(404);
  expect((await server.send('GET', '/metrics')).body.toString()).toContain('cairn_requests_total');
  await server.stop();
  const metrics = server.lines.filter((line) => line._aws !== undefined && line.Revision === '3');
  const sum = metrics
    .flatMap(({ Requests }) => (typeof Requests === 'object' ? (Requests as { Count: number }).Count : 1))
    .reduce((total, count) => total + count, 0);
  expect(sum).toBe(2);
  expect(metrics.some(({ ModelLatency }) => ModelLatency !== undefined)).toBe(true);
});
