import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { readOnnxSignature } from '../../shared/registry/format/onnx.ts';
import { pythonEnv, runPython } from './python.ts';

test('signatures are those that the onnx package reads, for every model it ships', async () => {
  const requirements = await readFile(new URL('../models/digits/requirements.txt', import.meta.url), 'utf8');
  const python = await pythonEnv('digits', requirements);
  const lines = (await runPython(python, 'onnx_signatures.py', [])).trim().split('\n');
  expect(lines.length).toBeGreaterThan(100);
  for (const line of lines) {
    const { path, inputs, outputs, ...onnx } = JSON.parse(line);
    const bytes = await readFile(path);
    const signature = await readOnnxSignature(async (start, end) => bytes.subarray(start, end), bytes.length);
    expect([path, signature.inputs, signature.outputs]).toEqual([path, inputs, outputs]);
    expect({ graph: '', ...signature.onnx }).toMatchObject(onnx);
  }
});
