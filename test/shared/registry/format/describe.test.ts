import { expect, test } from 'vitest';
import { describeModel } from '../../../../shared/registry/format/describe.ts';
import { identity, onnxFile } from '../../../models/onnx-file.ts';

const describing = (files: Record<string, Buffer | string>) =>
  describeModel(
    Object.entries(files).map(([path, contents]) => {
      const bytes = Buffer.from(contents);
      return {
        path,
        size: bytes.length,
        read: async (start: number, end: number) => bytes.subarray(start, end),
      };
    }),
  );

const MLMODEL = `
flavors: {onnx: {data: model.onnx}, python_function: {}}
signature:
  inputs: '[{"name": "seen", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1]}}]'
`;

test('an ONNX file has the signature of its graph', async () => {
  expect(await describing({ 'model.onnx': identity('int32'), 'README.md': '#' })).toMatchObject({
    framework: 'onnx',
    entry: 'model.onnx',
    signature: { inputs: [{ name: 'x', datatype: 'INT32' }] },
  });
});

test('an MLflow model with an ONNX flavour has the signature of the graph it names', async () => {
  expect(await describing({ 'm/MLmodel': MLMODEL, 'm/model.onnx': identity('uint8') })).toMatchObject({
    framework: 'onnx',
    format: 'mlflow',
    entry: 'm/model.onnx',
    signature: { inputs: [{ name: 'x', datatype: 'UINT8' }] },
  });
});

test('an MLflow model without its graph has the signature that MLmodel tells', async () => {
  expect(await describing({ MLmodel: MLMODEL })).toMatchObject({
    framework: 'onnx',
    format: 'mlflow',
    entry: '.',
    signature: { inputs: [{ name: 'seen', datatype: 'FP32' }] },
  });
});

test('a broken ONNX file is refused by its path, also when it is not the one to load', async () => {
  const files = { 'model.onnx': identity('float'), 'parts/other.onnx': identity('float').subarray(0, 40) };
  await expect(describing(files)).rejects.toMatchObject({
    code: 'MODEL_FILE_INVALID',
    field: 'parts/other.onnx',
    detail: expect.stringContaining('truncated'),
  });
});

test('weights that an ONNX file keeps elsewhere have to be among the files', async () => {
  const graph = onnxFile({
    inputs: [],
    outputs: [{ name: 'weights', type: 'float', shape: [1] }],
    nodes: [],
    externalData: 'model.data',
  });
  await expect(describing({ 'a/model.onnx': graph, 'model.data': 'x' })).rejects.toMatchObject({
    code: 'MODEL_FILE_INVALID',
    detail: expect.stringContaining('"model.data"'),
  });
  expect(await describing({ 'a/model.onnx': graph, 'a/model.data': 'x' })).toMatchObject({
    framework: 'onnx',
  });
});

test('files of no known format have none', async () => {
  expect(await describing({ 'notes.txt': 'x' })).toEqual({});
});
