import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asksFor, asksInBinary, digitsModel, testSet } from './digits-data.ts';
import { type StartedServer, startReady } from './start.ts';

const BODY_LIMIT = 100_000;
const image = testSet.images[0] as number[];
const good = asksFor([image]);
const [input] = good.inputs;
const INFER = '/v2/models/d%20%C3%BC/infer';

let server: StartedServer;
beforeAll(async () => {
  server = await startReady(digitsModel('digits-v2'), {
    name: 'd ü',
    environment: { CAIRN_BODY_LIMIT: String(BODY_LIMIT) },
  });
});
afterAll(() => server.stop());

test('tells about itself and the model', async () => {
  const metadata = {
    name: 'd ü',
    versions: ['1'],
    platform: 'onnxruntime_onnx',
    inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 64] }],
    outputs: [
      { name: 'label', datatype: 'INT64', shape: [-1] },
      { name: 'probabilities', datatype: 'FP32', shape: [-1, 10] },
    ],
  };
  for (const [path, expected] of [
    ['/v2', { name: 'cairn', version: '2', extensions: ['binary_tensor_data'] }],
    ['/v2/health/live', { live: true }],
    ['/v2/health/ready', { ready: true }],
    ['/v2/models/d%20%C3%BC', metadata],
    ['/v2/models/d%20%C3%BC/versions/1', metadata],
    ['/v2/models/d%20%C3%BC/ready', { name: 'd ü', ready: true }],
    ['/v2/models/d%20%C3%BC/versions/1/ready?x=1', { name: 'd ü', ready: true }],
    ['/ping', { status: 'Healthy' }],
  ] as const) {
    const reply = await server.send('GET', path);
    expect([path, reply.status, reply.json()]).toEqual([path, 200, expected]);
  }
  expect((await server.send('HEAD', '/ping')).status).toBe(200);
});

test('answers with id, model and version, and only with the outputs asked for', async () => {
  const reply = await server.post('/v2/models/d%20%C3%BC/versions/1/infer', {
    id: 'mine "1"',
    inputs: [{ ...input, data: [image] }],
    outputs: [{ name: 'label' }],
  });
  expect(reply.json()).toEqual({
    model_name: 'd ü',
    model_version: '1',
    id: 'mine "1"',
    outputs: [{ name: 'label', datatype: 'INT64', shape: [1], data: [testSet.labels[0]] }],
  });
});

test('sends one output in binary and another in JSON', async () => {
  const outputs = [{ name: 'label', parameters: { binary_data: true } }, { name: 'probabilities' }];
  const reply = await server.post(INFER, { ...good, outputs });
  const length = Number(reply.headers['inference-header-content-length']);
  const json = JSON.parse(reply.body.subarray(0, length).toString());
  expect(json.outputs[0].parameters).toEqual({ binary_data_size: 8 });
  expect(json.outputs[1].data).toHaveLength(10);
  expect(reply.body.readBigInt64LE(length)).toBe(BigInt(testSet.labels[0] as number));
});

/** Far deeper than a call stack. */
const NESTED = `${'['.repeat(40_000)}${']'.repeat(40_000)}`;

const withInput = (changes: Record<string, unknown>) => ({ inputs: [{ ...input, ...changes }] });
const withPixel = (value: string) => JSON.stringify(good).replace(/"data":\[\d+/, `"data":[${value}`);

describe('a request that does not fit is refused with a sentence', () => {
  const REFUSED: [unknown, string][] = [
    ['', 'the request is not JSON: Unexpected end of JSON input'],
    ['{"inputs":[', 'the request is not JSON'],
    ['[]', 'the request is not a JSON object'],
    [{}, '"inputs" is missing or not an array of tensors'],
    [{ inputs: {} }, '"inputs" is missing or not an array of tensors'],
    [{ inputs: [1] }, 'an element of "inputs" is not a JSON object'],
    [{ inputs: [] }, 'input "image" is missing'],
    [{ inputs: [input, input] }, 'input "image" is given twice'],
    [{ ...good, id: 7 }, '"id" is 7, expected a string'],
    [withInput({ name: 'x' }), '"x" is not an input of model "d ü"; it has "image"'],
    [withInput({ name: '__proto__' }), '"__proto__" is not an input of model "d ü"; it has "image"'],
    [
      withInput({ name: undefined }),
      'an input without a name is not an input of model "d ü"; it has "image"',
    ],
    [withInput({ datatype: 'INT64' }), 'input "image" has datatype "INT64", expected "FP32"'],
    [withInput({ datatype: undefined }), 'input "image" has datatype missing, expected "FP32"'],
    [withInput({ shape: [1, 63] }), 'input "image" has shape [1,63], expected [-1,64]'],
    [withInput({ shape: [64] }), 'input "image" has shape [64], expected [-1,64]'],
    [
      withInput({ shape: [-1, 64] }),
      'input "image" has shape [-1,64], expected an array of integers from 0 up',
    ],
    [
      withInput({ shape: [1e99, 64] }),
      'input "image" has shape [1e+99,64], expected an array of integers from 0 up',
    ],
    [withInput({ shape: [0, 64], data: [] }), 'input "image" has shape [0,64], expected at least one row'],
    [`{"inputs":[{"name":"image","datatype":"FP32","shape":${NESTED}}]}`, 'an array of 1 with arrays'],
    [
      `{"inputs":[{"name":"image","datatype":"FP32","shape":[1,64],"data":${NESTED}}]}`,
      'has 1 elements in dimension 1',
    ],
    [withInput({ shape: 'all' }), 'input "image" has shape "all", expected an array of integers from 0 up'],
    [withInput({ data: undefined }), 'input "image" has no data'],
    [withInput({ data: 1 }), 'input "image" has data that is not an array'],
    [withInput({ data: image.slice(1) }), 'input "image" of shape [1,64] needs 64 elements, 63 were given'],
    [withInput({ shape: [2, 64] }), 'input "image" of shape [2,64] needs 128 elements, 64 were given'],
    [
      withInput({ data: [image.slice(1)] }),
      'input "image" has 63 elements in dimension 1, where shape [1,64] says 64',
    ],
    [withInput({ data: [image, 1] }), 'input "image" has 1 where shape [1,64] needs an array'],
    [
      withInput({ data: [[image]] }),
      'input "image" has 1 elements in dimension 1, where shape [1,64] says 64',
    ],
    [
      withPixel('null'),
      'input "image" has null at element 0, expected a number (JSON has no NaN or infinity: send binary data)',
    ],
    [withPixel('NaN'), 'the request is not JSON'],
    [withPixel('"1"'), 'input "image" has "1" at element 0, expected a number'],
    [withPixel('1e39'), 'input "image" has 1e+39 at element 0, expected a number that fits FP32'],
    [
      withPixel('1e999'),
      'input "image" has a number beyond 1.8e308 at element 0, expected a number that fits FP32',
    ],
    [{ ...good, outputs: {} }, '"outputs" is not an array'],
    [
      { ...good, outputs: [{ name: 'x' }] },
      '"x" is not an output of model "d ü"; it has "label", "probabilities"',
    ],
    [{ ...good, outputs: [{ name: 'label' }, { name: 'label' }] }, 'output "label" is asked for twice'],
    [
      { ...good, outputs: [{ name: 'label', parameters: { classification: 3 } }] },
      'parameter "classification" of output "label" is not supported',
    ],
    [
      withInput({ parameters: { shared_memory_region: 'r' } }),
      'parameter "shared_memory_region" of input "image" is not supported',
    ],
    [
      withInput({ data: undefined, parameters: { binary_data_size: 256 } }),
      'input "image" has binary_data_size, which needs the header Inference-Header-Content-Length',
    ],
  ];

  test.each(REFUSED.map(([body, sentence], n) => [n, sentence, body] as const))(
    '%i: %s',
    async (_, sentence, body) => {
      const reply = await server.post(INFER, body);
      expect(reply.status).toBe(400);
      expect(reply.headers['content-type']).toBe('application/json');
      expect(reply.json().error).toContain(sentence);
    },
  );
});

describe('binary data that does not fit is refused with a sentence', () => {
  const { headers, body } = asksInBinary([image]);
  const length = Number(headers['inference-header-content-length']);

  test.each<[string, string, Buffer]>([
    ['x', 'Inference-Header-Content-Length is "x", expected the JSON\'s length', body],
    ['0', 'Inference-Header-Content-Length is "0"', body],
    [String(body.length + 1), `from 2 to the body's ${body.length} bytes`, body],
    [String(length - 1), 'the request is not JSON', body],
    [String(length), 'has binary_data_size 256, 255 bytes are left of the body', body.subarray(0, -1)],
    [String(length), '257 bytes of binary data follow the JSON', Buffer.concat([body, Buffer.alloc(1)])],
  ])('header length %s: %s', async (given, sentence, bytes) => {
    const changed = { ...headers, 'inference-header-content-length': given };
    const reply = await server.send('POST', INFER, { headers: changed, body: bytes });
    expect(reply.status).toBe(400);
    expect(reply.json().error).toContain(sentence);
  });

  test('binary_data_size other than shape and datatype need', async () => {
    const json = Buffer.from(
      JSON.stringify({ inputs: [{ ...input, data: undefined, parameters: { binary_data_size: 8 } }] }),
    );
    const changed = { 'inference-header-content-length': String(json.length) };
    const reply = await server.send('POST', INFER, {
      headers: changed,
      body: Buffer.concat([json, Buffer.alloc(8)]),
    });
    expect(reply.json().error).toBe(
      'input "image" with datatype FP32 and shape [1,64] needs 256 bytes, binary_data_size says 8',
    );
  });
});

describe('/invocations refuses what does not fit with a sentence', () => {
  const REFUSED: [unknown, string, number, string][] = [
    [{}, 'application/json', 400, 'the request has neither "instances" nor "inputs"'],
    [{ instances: [] }, 'application/json', 400, 'input "image" has shape [0], expected [-1,64]'],
    [{ instances: [[1, 2]] }, 'application/json', 400, 'input "image" has shape [1,2], expected [-1,64]'],
    [
      { instances: [image, [1]] },
      'application/json',
      400,
      'has 1 elements in dimension 1, where shape [2,64] says 64',
    ],
    [{ instances: [{ x: image }] }, 'application/json', 400, '"x" is not an input of model'],
    [
      { instances: [{ image }, { x: 1 }] },
      'application/json',
      400,
      'instance 1 has "x", which instance 0 has not',
    ],
    [
      { instances: [{ image }, 3] },
      'application/json',
      400,
      'instance 1 does not have the same inputs as instance 0',
    ],
    [{ inputs: {} }, 'application/json', 400, 'input "image" is missing'],
    [`{"instances":${NESTED}}`, 'application/json', 400, 'input "image" has shape [1,1,1,'],
    ['1,2,x', 'text/csv', 400, 'line 1 of the CSV has "x" in column 3, expected a number'],
    [`${image.join(',')}\n1,,3`, 'text/csv', 400, 'line 2 of the CSV has "" in column 2, expected a number'],
    ['1,2', 'text/csv', 400, 'input "image" has shape [1,2], expected [-1,64]'],
    [`${image.join(',')}\n1`, 'text/csv', 400, 'has 1 elements in dimension 1, where shape [2,64] says 64'],
    ['x', 'text/html', 415, 'Content-Type is "text/html", expected application/json or text/csv'],
  ];

  test.each(REFUSED.map(([body, ...rest], n) => [n, ...rest, body] as const))(
    '%i: %s answers %i: %s',
    async (_, type, status, sentence, body) => {
      const reply = await server.post('/invocations', body, { 'content-type': type });
      expect([reply.status, reply.json().error]).toEqual([status, expect.stringContaining(sentence)]);
    },
  );
});

test.each<[string, string, number, string]>([
  ['GET', '/', 404, 'there is no /; model "d ü" is at /v2/models/d%20%C3%BC'],
  ['GET', '/v2/models/other', 404, 'model "other" is not served here; "d ü" is'],
  ['POST', '/v2/models/other/infer', 404, 'model "other" is not served here'],
  ['GET', '/v2/models/%E0%A4%A', 400, 'is not valid percent-encoding'],
  ['GET', '/v2/models/d%20%C3%BC/versions/9', 404, 'version "9" of model "d ü" is not served here; "1" is'],
  ['GET', '/v2/models/d%20%C3%BC/versions', 404, 'there is no /v2/models'],
  ['GET', '/v2/models/d%20%C3%BC/explain', 404, 'there is no /v2/models'],
  ['GET', '/v2/models/d%20%C3%BC/ready/now', 404, 'there is no /v2/models'],
  ['GET', INFER, 405, 'GET is not allowed here: use POST'],
  ['DELETE', '/v2/health/live', 405, 'DELETE is not allowed here: use GET'],
  ['PUT', '/invocations', 405, 'PUT is not allowed here: use POST'],
  ['POST', '/ping', 405, 'POST is not allowed here: use GET'],
])('%s %s answers %i', async (method, path, status, sentence) => {
  const reply = await server.send(method, path);
  expect([reply.status, reply.json().error]).toEqual([status, expect.stringContaining(sentence)]);
  if (status === 405) expect(reply.headers.allow).toBe(sentence.split('use ')[1]);
});

test('other media types and encodings are refused', async () => {
  const html = await server.post(INFER, good, { 'content-type': 'text/html' });
  expect([html.status, html.json().error]).toEqual([
    415,
    expect.stringContaining('Content-Type is "text/html"'),
  ]);
  const zipped = await server.post(INFER, good, {
    'content-type': 'application/json',
    'content-encoding': 'gzip',
  });
  expect([zipped.status, zipped.json().error]).toEqual([
    415,
    'Content-Encoding is "gzip": send the body uncompressed',
  ]);
});

test('a body beyond the limit is refused, announced or not', async () => {
  const body = Buffer.alloc(BODY_LIMIT + 1, ' ');
  const chunked: Record<string, string> = { 'transfer-encoding': 'chunked' };
  for (const headers of [{}, chunked]) {
    const reply = await server.send('POST', INFER, {
      headers,
      body,
    });
    expect([reply.status, reply.json().error]).toEqual([413, `the body is longer than ${BODY_LIMIT} bytes`]);
  }
});

test.each([
  ['a wrong content length', `POST ${INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n`],
  ['no HTTP at all', 'hello\r\n\r\n'],
])('%s is answered 400 in JSON', async (_, bytes) => {
  const socket = connect(server.port, '127.0.0.1');
  socket.end(bytes);
  let answer = '';
  for await (const chunk of socket) answer += chunk;
  expect(answer).toMatch(/^HTTP\/1\.1 400 [\s\S]*\{"error":"the request is not valid HTTP: /);
});

test('a client that leaves in the middle of its request harms nobody', async () => {
  const socket = connect(server.port, '127.0.0.1');
  socket.write(`POST ${INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{"inputs"`, () =>
    socket.destroy(),
  );
  await new Promise((resolve) => socket.once('close', resolve));
  expect((await server.post(INFER, good)).status).toBe(200);
});
