import { expect, test } from 'vitest';
import { detectFormat } from '../../../../shared/registry/format/detect.ts';

const detect = (...paths: string[]) => detectFormat(paths.map((path) => ({ path, size: 1 })));

test.each([
  [['model.onnx', 'README.md'], { framework: 'onnx', format: 'onnx', entry: 'model.onnx' }],
  [['a/encoder.onnx', 'README.md'], { framework: 'onnx', format: 'onnx', entry: 'a/encoder.onnx' }],
  [['encoder.onnx', 'decoder.onnx'], { framework: 'onnx', format: 'onnx' }],
  [['model.onnx', 'decoder.onnx'], { framework: 'onnx', format: 'onnx', entry: 'model.onnx' }],
  [['MLmodel', 'model.pkl', 'conda.yaml'], { framework: 'mlflow', format: 'mlflow', entry: '.' }],
  [['m/MLmodel', 'm/model.onnx'], { framework: 'mlflow', format: 'mlflow', entry: 'm' }],
  [
    ['1/saved_model.pb', '1/variables/variables.index'],
    { framework: 'tensorflow', format: 'saved-model', entry: '1' },
  ],
  [['model.safetensors'], { format: 'safetensors', entry: 'model.safetensors' }],
  [
    ['model-1.safetensors', 'model-2.safetensors', 'config.json'],
    { framework: 'transformers', format: 'safetensors' },
  ],
  [
    ['adapter_config.json', 'adapter_model.safetensors'],
    { framework: 'peft', format: 'safetensors', entry: 'adapter_model.safetensors' },
  ],
  [['net.pt'], { framework: 'pytorch', format: 'pytorch', entry: 'net.pt' }],
  [
    ['pytorch_model.bin', 'config.json'],
    { framework: 'pytorch', format: 'pytorch', entry: 'pytorch_model.bin' },
  ],
  [
    ['pytorch_model-00001-of-00002.bin', 'pytorch_model-00002-of-00002.bin'],
    { framework: 'pytorch', format: 'pytorch' },
  ],
  [['clf.joblib'], { framework: 'sklearn', format: 'joblib', entry: 'clf.joblib' }],
  [['clf.pkl'], { format: 'pickle', entry: 'clf.pkl' }],
  [['llama.Q4_K_M.gguf'], { framework: 'llama.cpp', format: 'gguf', entry: 'llama.Q4_K_M.gguf' }],
  [['net.tflite'], { framework: 'tensorflow', format: 'tflite', entry: 'net.tflite' }],
  [['net.keras'], { framework: 'keras', format: 'keras', entry: 'net.keras' }],
  [['NET.H5'], { framework: 'keras', format: 'hdf5', entry: 'NET.H5' }],
  [['data.bin', 'notes.txt'], {}],
  [[], {}],
])('%j', (paths, expected) => {
  expect(detect(...paths)).toEqual(expected);
});
