import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CairnError } from '../../../../shared/errors.ts';
import { readOnnxSignature } from '../../../../shared/registry/format/onnx.ts';
import { Signature } from '../../../../shared/registry/format/signature.ts';
import { header, message, number, onnxFile, text } from '../../../models/onnx-file.ts';

const digits = readFileSync(new URL('../../../models/digits/digits-v1.onnx', import.meta.url));

/** Reads from memory and fails on a range that is not inside the file. */
function reading(bytes: Uint8Array) {
  return async (start: number, end: number) => {
    if (!(start >= 0 && start <= end && end <= bytes.length)) throw new Error(`read of ${start} to ${end}`);
    return bytes.subarray(start, end);
  };
}

const read = (bytes: Uint8Array) => readOnnxSignature(reading(bytes), bytes.length);

async function failure(bytes: Uint8Array): Promise<CairnError | undefined> {
  try {
    Signature.parse(await read(bytes));
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(CairnError);
    expect(error).toMatchObject({ code: 'MODEL_FILE_INVALID' });
    return error as CairnError;
  }
}

const y = { name: 'y', type: 'float', shape: [1] } as const;

describe('a real model', () => {
  test('tells names, datatypes, shapes and names of dimensions', async () => {
    expect(await read(digits)).toEqual({
      kind: 'tensor',
      inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 64], dimensions: ['batch', null] }],
      outputs: [
        { name: 'label', datatype: 'INT64', shape: [-1], dimensions: ['batch'] },
        { name: 'probabilities', datatype: 'FP32', shape: [-1, 10], dimensions: ['batch', null] },
      ],
      onnx: {
        irVersion: 8,
        opsets: { 'ai.onnx': 17, 'ai.onnx.ml': 1 },
        producer: 'skl2onnx 1.20.0',
        graph: 'digits-v1',
      },
    });
  });

  test('cut off anywhere is refused, or still whole in what the signature needs', async () => {
    for (let length = 0; length < digits.length; length++) await failure(digits.subarray(0, length));
  });

  test('cut off in the middle says at which byte', async () => {
    const error = await failure(digits.subarray(0, 1000));
    expect(error?.detail).toMatch(/the file is truncated: it ends at byte 1000/);
  });

  test('with any bytes changed never fails otherwise than as an invalid file', async () => {
    const change = fc.record({ at: fc.nat(digits.length - 1), byte: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 8 }), async (changes) => {
        const bytes = Uint8Array.from(digits);
        for (const { at, byte } of changes) bytes[at] = byte;
        await failure(bytes);
      }),
      { numRuns: 500 },
    );
  });
});

test('any bytes are a signature or an invalid file, and nothing beyond the end is read', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => void (await failure(bytes))),
    { numRuns: 1000 },
  );
});

test.each([
  ['it is empty', Buffer.alloc(0)],
  ['it has no graph', Buffer.concat([number(1, 8), message(8, number(2, 17))])],
  ['it has no IR version', message(7, text(2, 'g'))],
  ['it names no operator set', Buffer.concat([number(1, 8), message(7, text(2, 'g'))])],
  ['its graph has no outputs', onnxFile({ inputs: [], outputs: [], nodes: [] })],
  ['is a number, not a message', Buffer.concat([number(1, 8), number(7, 1)])],
  ['wire type 6', Buffer.from([0x0e, 0x00])],
  ['goes beyond its message', Buffer.concat([message(7, header(11, 1000)), Buffer.alloc(2000)])],
  ['more than 10 bytes', Buffer.concat([Buffer.from([0x08]), Buffer.alloc(12, 0xff)])],
])('a file is refused: %s', async (why, bytes) => {
  expect((await failure(bytes))?.detail).toContain(why);
});

test('a type nested without end is refused', async () => {
  let type = message(1, number(1, 1));
  for (let n = 0; n < 40; n++) type = message(4, message(1, type));
  const graph = message(7, message(12, text(1, 'y'), message(2, type)));
  const error = await failure(Buffer.concat([number(1, 8), graph, message(8, number(2, 17))]));
  expect(error?.detail).toContain('nested deeper than 16');
});

test('sequences and maps are named as such', async () => {
  const map = message(5, number(1, 7), message(2, message(1, number(1, 1))));
  const type = message(4, message(1, map));
  const graph = message(
    7,
    message(12, text(1, 'y'), message(2, type)),
    message(12, text(1, 'z'), message(2, map)),
  );
  const { outputs } = await read(Buffer.concat([number(1, 8), graph, message(8, number(2, 17))]));
  expect(outputs).toEqual([
    { name: 'y', datatype: 'SEQUENCE' },
    { name: 'z', datatype: 'MAP' },
  ]);
});

test('an input that an initialiser feeds is not an input, and a shape of unknown rank is left out', async () => {
  const file = onnxFile({
    inputs: [
      { name: 'x', type: 'double' },
      { name: 'axis', type: 'int64', shape: [] },
    ],
    outputs: [{ name: 'y', type: 'double', shape: ['n', -1] }],
    nodes: [{ op: 'CumSum', inputs: ['x', 'axis'], outputs: ['y'] }],
    scalars: { axis: 0 },
  });
  const signature = await read(file);
  expect(signature.inputs).toEqual([{ name: 'x', datatype: 'FP64' }]);
  expect(signature.outputs).toEqual([
    { name: 'y', datatype: 'FP64', shape: [-1, -1], dimensions: ['n', null] },
  ]);
});

test('external data is named', async () => {
  const { onnx } = await read(
    onnxFile({ inputs: [], outputs: [y], nodes: [], externalData: 'model.onnx.data' }),
  );
  expect(onnx?.externalData).toEqual(['model.onnx.data']);
});

test('a model of 8 GiB is read in a few windows', async () => {
  const weights = 8 * 1024 ** 3;
  const small = onnxFile({ inputs: [], outputs: [y], nodes: [] });
  // ModelProto.graph is merged from its occurrences: one holds an initialiser of 8 GiB of zeros, the other the rest.
  const name = text(8, 'weights');
  const raw = header(9, weights);
  const tensor = header(5, name.length + raw.length + weights);
  const head = Buffer.concat([
    header(7, tensor.length + name.length + raw.length + weights),
    tensor,
    name,
    raw,
  ]);
  const size = head.length + weights + small.length;
  let bytesRead = 0;
  const signature = await readOnnxSignature(async (start, end) => {
    bytesRead += end - start;
    const window = Buffer.alloc(end - start);
    if (start < head.length) head.copy(window, 0, start);
    if (end > head.length + weights) small.copy(window, 0, start - head.length - weights);
    return window;
  }, size);
  expect(signature.outputs).toHaveLength(1);
  expect(bytesRead).toBeLessThan(1024 * 1024);
});
