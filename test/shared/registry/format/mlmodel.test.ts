import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CairnError } from '../../../../shared/errors.ts';
import { readMlmodel } from '../../../../shared/registry/format/mlmodel.ts';

/** As `mlflow.onnx.save_model` writes it. */
const TENSORS = `
artifact_path: model
flavors:
  onnx:
    code: null
    data: model.onnx
    onnx_version: 1.18.0
  python_function:
    loader_module: mlflow.onnx
mlflow_version: 3.1.0
signature:
  inputs: '[{"name": "image", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 64]}}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
  params: null
utc_time_created: '2025-06-01 10:00:00.000000'
`;

/** As `mlflow.sklearn.save_model` writes it for a data frame. */
const COLUMNS = `
flavors:
  python_function:
    loader_module: mlflow.sklearn
  sklearn:
    pickled_model: model.pkl
signature:
  inputs: '[{"type": "double", "name": "age", "required": true}, {"type": "string", "name": "city", "required": false}, {"type": "datetime", "name": "since", "required": true}]'
  outputs: '[{"type": "long", "required": true}]'
`;

test('a signature of tensors', () => {
  expect(readMlmodel(TENSORS)).toEqual({
    flavors: ['onnx', 'python_function'],
    framework: 'onnx',
    onnx: 'model.onnx',
    signature: {
      kind: 'tensor',
      inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 64] }],
      outputs: [{ name: '0', datatype: 'INT64', shape: [-1] }],
    },
  });
});

test('a signature of columns', () => {
  expect(readMlmodel(COLUMNS)).toMatchObject({
    framework: 'sklearn',
    signature: {
      kind: 'column',
      inputs: [
        { name: 'age', datatype: 'FP64', shape: [-1] },
        { name: 'city', datatype: 'BYTES', shape: [-1], required: false },
        { name: 'since', datatype: 'DATETIME', shape: [-1] },
      ],
      outputs: [{ name: '0', datatype: 'INT64', shape: [-1] }],
    },
  });
});

test.each([
  ['a list', '- 1', 'expected object'],
  ['half a surrogate pair as a flavour', 'flavors: {"x\\ud800": {}}', 'no Unicode'],
  [
    'half a surrogate pair in a signature',
    `signature: {inputs: '[{"type": "double", "name": "\\ud800"}]'}`,
    'no Unicode',
  ],
  ['not YAML', 'a: [1', 'Flow sequence'],
  ['a signature that is not JSON', "signature: {inputs: 'no'}", 'signature.inputs is not JSON'],
  ['a field without a type', `signature: {inputs: '[{"name": "a"}]'}`, 'signature.inputs'],
  ['a file beyond the limit', 'x'.repeat(1024 * 1024 + 1), 'longer than'],
  [
    'aliases that multiply',
    `a: &a [${'1,'.repeat(99)}]\n${Array.from({ length: 9 }, (_, n) => `b${n}: &b${n} [${`*${n ? `b${n - 1}` : 'a'},`.repeat(99)}]`).join('\n')}`,
    'alias',
  ],
])('%s is refused', (_, text, why) => {
  expect(() => readMlmodel(text)).toThrow(why);
  expect(() => readMlmodel(text)).toThrow(CairnError);
});

test('any text is read or refused as an invalid file', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (text) => {
      try {
        readMlmodel(text);
      } catch (error) {
        expect(error).toMatchObject({ code: 'MODEL_FILE_INVALID' });
      }
    }),
  );
});
