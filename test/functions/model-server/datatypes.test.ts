import { describe, expect, test } from 'vitest';
import { identity, onnxFile } from '../../models/onnx-file.ts';
import { startReady } from './start.ts';

const INFER = '/v2/models/digits/infer';
const little = (array: ArrayBufferView) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);
const texts = (...values: string[]) =>
  Buffer.concat(
    values.map((value) => {
      const bytes = Buffer.from(value);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return Buffer.concat([length, bytes]);
    }),
  );

describe.each([
  ['float', 'FP32', [1.5, -2, 0, 2 ** 127], little(Float32Array.of(1.5, -2, 0, 2 ** 127)), [1e39]],
  ['double', 'FP64', [0.1, -2, 0, 1e300], little(Float64Array.of(0.1, -2, 0, 1e300)), ['a']],
  ['float16', 'FP16', [1.5, -2, 0, 65504], little(new Uint16Array([0x3e00, 0xc000, 0, 0x7bff])), [70_000]],
  ['int8', 'INT8', [-128, 127, 0, 1], little(Int8Array.of(-128, 127, 0, 1)), [128, 1.5]],
  ['int16', 'INT16', [-32768, 32767, 0, 1], little(Int16Array.of(-32768, 32767, 0, 1)), [32768]],
  [
    'int32',
    'INT32',
    [-(2 ** 31), 2 ** 31 - 1, 0, 1],
    little(Int32Array.of(-(2 ** 31), 2 ** 31 - 1, 0, 1)),
    [2 ** 31],
  ],
  [
    'int64',
    'INT64',
    [-5, 2 ** 53 - 1, 0, 1],
    little(BigInt64Array.of(-5n, 2n ** 53n - 1n, 0n, 1n)),
    [2 ** 53, 0.5],
  ],
  ['uint8', 'UINT8', [255, 127, 0, 1], little(Uint8Array.of(255, 127, 0, 1)), [-1, 256]],
  ['uint16', 'UINT16', [65535, 127, 0, 1], little(Uint16Array.of(65535, 127, 0, 1)), [-1, 65536]],
  [
    'uint32',
    'UINT32',
    [2 ** 32 - 1, 127, 0, 1],
    little(Uint32Array.of(2 ** 32 - 1, 127, 0, 1)),
    [-1, 2 ** 32],
  ],
  [
    'uint64',
    'UINT64',
    [5, 2 ** 53 - 1, 0, 1],
    little(BigUint64Array.of(5n, 2n ** 53n - 1n, 0n, 1n)),
    [-1, 2 ** 53],
  ],
  ['bool', 'BOOL', [true, false, false, true], little(Uint8Array.of(1, 0, 0, 1)), [1, 'true']],
  ['string', 'BYTES', ['a', '', 'é"', '😀'], texts('a', '', 'é"', '😀'), [1, null]],
] as const)('%s', (type, datatype, values, bytes, wrong) => {
  test('comes back as it went, in JSON and in binary; values that do not fit are refused', async () => {
    await using server = await startReady(identity(type));
    const input = { name: 'x', datatype, shape: [2, 2] };

    const json = await server.post(INFER, { inputs: [{ ...input, data: values }] });
    expect(json.json()).toMatchObject({ outputs: [{ name: 'y', datatype, shape: [2, 2], data: values }] });

    const parameters = { binary_data_size: bytes.length };
    const head = JSON.stringify({
      parameters: { binary_data_output: true },
      inputs: [{ ...input, parameters }],
    });
    const headers = { 'inference-header-content-length': String(Buffer.byteLength(head)) };
    const binary = await server.send('POST', INFER, {
      headers,
      body: Buffer.concat([Buffer.from(head), bytes]),
    });
    expect(binary.status).toBe(200);
    expect(binary.body.subarray(Number(binary.headers['inference-header-content-length']))).toEqual(bytes);

    for (const value of wrong) {
      const reply = await server.post(INFER, {
        inputs: [{ ...input, data: [...values.slice(0, 3), value] }],
      });
      expect(reply.status).toBe(400);
      expect(reply.json().error).toMatch(/^input "x" has .* at element 3, expected /);
    }
    expect(await server.stop()).toBe(0);
  });
});

test('binary strings that do not fit are refused with a sentence', async () => {
  await using server = await startReady(identity('string'));
  for (const [bytes, sentence] of [
    [texts('a', 'b', 'c'), 'input "x" of shape [2,2] needs 4 elements, 3 were given'],
    [texts('a', 'b', 'c', 'd', 'e'), 'input "x" of shape [2,2] needs 4 elements, more were given'],
    [texts('a', 'b', 'c', 'd').subarray(0, -1), 'input "x" has element 3 going beyond its 19 bytes'],
    [
      Buffer.concat([texts('a', 'b', 'c'), Buffer.from([1, 0])]),
      'input "x" has element 3 going beyond its 17 bytes',
    ],
    [Buffer.concat([texts('a', 'b', 'c'), Buffer.from([1, 0, 0, 0, 0xff])]), 'that are not UTF-8'],
    [texts('a', 'b', 'c', 'd\u0000e'), 'input "x" has a NUL character at element 3'],
  ] as const) {
    const input = {
      name: 'x',
      datatype: 'BYTES',
      shape: [2, 2],
      parameters: { binary_data_size: bytes.length },
    };
    const head = JSON.stringify({ inputs: [input] });
    const headers = { 'inference-header-content-length': String(Buffer.byteLength(head)) };
    const reply = await server.send('POST', INFER, {
      headers,
      body: Buffer.concat([Buffer.from(head), bytes]),
    });
    expect([reply.status, reply.json().error]).toEqual([400, expect.stringContaining(sentence)]);
  }
});

test('NaN and infinities pass in binary; in JSON answers they are null', async () => {
  await using server = await startReady(identity('float'));
  const bytes = little(Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, 1, 2));
  const input = { name: 'x', datatype: 'FP32', shape: [2, 2], parameters: { binary_data_size: 16 } };
  const head = JSON.stringify({ inputs: [input] });
  const headers = { 'inference-header-content-length': String(head.length) };
  const reply = await server.send('POST', INFER, {
    headers,
    body: Buffer.concat([Buffer.from(head), bytes]),
  });
  expect(reply.json()).toMatchObject({ outputs: [{ data: [null, null, 1, 2] }] });
});

test('rows that depend on the rows beside them are never joined', async () => {
  const running = onnxFile({
    inputs: [{ name: 'x', type: 'float', shape: ['steps', 2] }],
    outputs: [{ name: 'y', type: 'float', shape: ['steps', 2] }],
    nodes: [{ op: 'CumSum', inputs: ['x', 'axis'], outputs: ['y'] }],
    scalars: { axis: 0 },
  });
  await using server = await startReady(running, { environment: { CAIRN_RUN_IN: 'worker' } });
  expect(server.lines).toContainEqual(
    expect.objectContaining({ msg: 'batching is off: "y" of a row depends on the rows beside it' }),
  );
  const request = { inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 2], data: [1, 2, 3, 4] }] };
  const replies = await Promise.all(Array.from({ length: 50 }, () => server.post(INFER, request)));
  for (const reply of replies) expect(reply.json()).toMatchObject({ outputs: [{ data: [1, 2, 4, 6] }] });
});
