import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asksFor, asksInBinary, digitsModel, readBinary, testSet } from './digits-data.ts';
import { type StartedServer, startReady } from './start.ts';

const INFER = '/v2/models/digits/infer';
const { images, labels } = testSet;

interface Answer {
  outputs: [{ data: number[] }, { data: number[] }];
}

const share = (given: readonly number[]) =>
  given.filter((label, n) => label === labels[n]).length / labels.length;

/** What the README of test/models/digits says. */
describe.each([
  ['digits-v1', 0.9],
  ['digits-v2', 0.97],
] as const)('%s', (name, accuracy) => {
  let server: StartedServer;
  beforeAll(async () => {
    server = await startReady(digitsModel(name));
  });
  afterAll(() => server.stop());

  test(`is right on at least ${accuracy} of the real test images, one at a time`, async () => {
    const given: number[] = [];
    for (const image of images) {
      const answer = (await server.post(INFER, asksFor([image]))).json<Answer>();
      given.push(answer.outputs[0].data[0] as number);
    }
    expect(share(given)).toBeGreaterThanOrEqual(accuracy);
  });

  test('answers the same in JSON and in binary', async () => {
    const json = (await server.post(INFER, asksFor(images))).json<Answer>();
    const binary = await server.send('POST', INFER, asksInBinary(images));
    const read = readBinary(binary.headers, binary.body);
    expect(read.labels).toEqual(json.outputs[0].data);
    expect(read.probabilities).toEqual(json.outputs[1].data);
  });

  test('answers the same through /invocations, as instances, inputs and CSV', async () => {
    const some = images.slice(0, 20);
    const json = (await server.post(INFER, asksFor(some))).json<Answer>();
    const expected = some.map((_, n) => ({
      label: json.outputs[0].data[n],
      probabilities: json.outputs[1].data.slice(n * 10, n * 10 + 10),
    }));
    for (const body of [{ instances: some }, { inputs: some }, { inputs: { image: some } }]) {
      expect((await server.post('/invocations', body)).json()).toEqual({ predictions: expected });
    }
    const instances = some.map((image) => ({ image }));
    expect((await server.post('/invocations', { instances })).json()).toEqual({ predictions: expected });
    const csv = `${some.map((image) => image.join(',')).join('\r\n')}\r\n`;
    const fromCsv = await server.post('/invocations', csv, { 'content-type': 'text/csv; charset=utf-8' });
    expect(fromCsv.json()).toEqual({ predictions: expected });
    expect((await server.post('/invocations', asksFor(some))).json()).toEqual(json);
  });
});

describe.each(['main', 'worker'])('with runs in the thread "%s"', (thread) => {
  let server: StartedServer;
  beforeAll(async () => {
    server = await startReady(digitsModel('digits-v2'), { environment: { CAIRN_RUN_IN: thread } });
  });
  afterAll(() => server.stop());

  test('requests that are answered together get the answers they get alone', async () => {
    const alone = (await server.post(INFER, asksFor(images))).json<Answer>();
    const together = await Promise.all(images.map((image) => server.post(INFER, asksFor([image]))));
    for (const [n, reply] of together.entries()) {
      const [label, probabilities] = reply.json<Answer>().outputs;
      expect(label.data).toEqual([alone.outputs[0].data[n]]);
      for (const [m, probability] of probabilities.data.entries()) {
        expect(probability).toBeCloseTo(alone.outputs[1].data[n * 10 + m] as number, 5);
      }
    }
    const metrics = (await server.send('GET', '/metrics')).body.toString();
    const runs = Number(/cairn_batch_rows_count\S* (\d+)/.exec(metrics)?.[1]);
    expect(runs).toBeLessThan(images.length);
    expect(metrics).toMatch(/cairn_requests_total\{model="digits",version="1",code="200"\} 361\n/);
  });

  test('a large request by binary data is answered like a small one', async () => {
    const many = Array.from({ length: 20 }, () => images).flat();
    const reply = await server.send('POST', INFER, asksInBinary(many));
    const { labels: given } = readBinary(reply.headers, reply.body);
    expect(given).toHaveLength(many.length);
    expect(share(given.slice(-labels.length))).toBeGreaterThan(0.97);
  });

  test('tells its times and repeats the request id', async () => {
    const headers = { 'content-type': 'application/json', 'x-request-id': 'abc-1' };
    const reply = await server.post(INFER, asksFor(images.slice(0, 1)), headers);
    expect(reply.headers['server-timing']).toMatch(/^model;dur=\d+\.\d{3}, queue;dur=\d+\.\d{3}$/);
    expect(reply.headers['x-request-id']).toBe('abc-1');
  });
});

describe('the broken v3', () => {
  let server: StartedServer;
  beforeAll(async () => {
    server = await startReady(digitsModel('digits-v3-broken'));
  });
  afterAll(() => server.stop());

  test('is ready and answers faint images, but fails on most real ones', async () => {
    expect((await server.send('GET', '/v2/health/ready')).status).toBe(200);
    const faint = images.filter((image) => Math.max(...image) < 16);
    expect(faint.length).toBeGreaterThan(0);
    for (const image of faint) expect((await server.post(INFER, asksFor([image]))).status).toBe(200);
    const bright = images.filter((image) => Math.max(...image) === 16);
    expect(bright.length / images.length).toBeGreaterThan(0.9);
    const reply = await server.post(INFER, asksFor([bright[0] as number[]]));
    expect(reply.status).toBe(500);
    expect(reply.json().error).toMatch(
      /^the model failed: .*idx=16 must be within the inclusive range \[-16,15\]/,
    );
  });

  test('fails no neighbour of a request that fails', async () => {
    const replies = await Promise.all(images.map((image) => server.post(INFER, asksFor([image]))));
    for (const [n, reply] of replies.entries()) {
      expect(reply.status).toBe(Math.max(...(images[n] as number[])) === 16 ? 500 : 200);
    }
  });
});
