import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const PROJECT = join(import.meta.dirname, '..');
const DIGITS = join(PROJECT, 'test/models/digits');

/** The path of one of the digits models in test/models. */
export const digitsModel = (version: 'v1' | 'v2' | 'v3-broken') => join(DIGITS, `digits-${version}.onnx`);

/** Real handwritten digits, 64 intensities each. */
export async function digitImages(): Promise<number[][]> {
  return (JSON.parse(await readFile(join(DIGITS, 'test.json'), 'utf8')) as { images: number[][] }).images;
}

/** A model and an input for it. */
export interface Sample {
  readonly name: string;
  readonly file: string;
  readonly input: { name: string; datatype: 'FP32' | 'INT32'; shape: number[]; data: number[] };
}

/** The digits models with a real image, and magika with the beginning of a file where `npm run test:peers` has installed it. */
export async function samples(): Promise<Sample[]> {
  const [data = []] = await digitImages();
  const image = { name: 'image', datatype: 'FP32' as const, shape: [1, 64], data };
  const found: Sample[] = [
    { name: 'digits-v1', file: digitsModel('v1'), input: image },
    { name: 'digits-v2', file: digitsModel('v2'), input: image },
  ];
  const pattern = '.peers/*/lib/python*/site-packages/magika/models/standard_v3_3/model.onnx';
  const [magika] = globSync(pattern, { cwd: PROJECT });
  if (magika !== undefined) {
    const bytes = [...(await readFile(join(PROJECT, 'LICENSE'))).subarray(0, 2048)];
    found.push({
      name: 'magika',
      file: join(PROJECT, magika),
      input: { name: 'bytes', datatype: 'INT32', shape: [1, 2048], data: bytes },
    });
  }
  return found;
}
