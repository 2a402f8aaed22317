import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asksFor, digitsModel, testSet } from '../functions/model-server/digits-data.ts';
import { startReady } from '../functions/model-server/start.ts';
import { pythonEnv, runPython } from './python.ts';

interface Answers {
  labels: number[];
  probabilities: number[];
}

const DIGITS = new URL('../models/digits/', import.meta.url);
const WORKING = ['digits-v1', 'digits-v2'] as const;
const committed = (name: string) => fileURLToPath(new URL(`${name}.onnx`, DIGITS));

let python: string;
let folder: string;
beforeAll(async () => {
  python = await pythonEnv('digits', await readFile(new URL('requirements.txt', DIGITS), 'utf8'));
  folder = await mkdtemp(join(tmpdir(), 'cairn-digits-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function answersOf(paths: readonly string[]): Promise<Answers[]> {
  const images = fileURLToPath(new URL('test.json', DIGITS));
  return JSON.parse(await runPython(python, 'digits_answers.py', [images, ...paths]));
}

const accuracy = (labels: readonly number[]) =>
  labels.filter((label, n) => label === testSet.labels[n]).length / labels.length;

test('training again gives models as good as the committed ones', async () => {
  await runPython(python, '../models/digits/train.py', [folder]);
  const names = WORKING.map((name) => join(folder, `${name}.onnx`));
  const again = await answersOf(names);
  const before = await answersOf(WORKING.map(committed));
  // The bytes are the same on one machine; another processor rounds otherwise.
  for (const [n, { labels }] of again.entries()) {
    expect(accuracy(labels)).toBeCloseTo(accuracy(before[n]?.labels ?? []), 2);
  }
  expect(await readFile(join(folder, 'digits-v3-broken.onnx'))).toHaveLength(
    digitsModel('digits-v3-broken').length,
  );
});

test('training twice gives the same bytes', async () => {
  await runPython(python, '../models/digits/train.py', [folder]);
  const first = await Promise.all(WORKING.map((name) => readFile(join(folder, `${name}.onnx`))));
  await runPython(python, '../models/digits/train.py', [folder]);
  const second = await Promise.all(WORKING.map((name) => readFile(join(folder, `${name}.onnx`))));
  expect(second).toEqual(first);
});

test.each(WORKING)('%s answers in the model server as in Python', async (name) => {
  const [expected] = await answersOf([committed(name)]);
  await using server = await startReady(digitsModel(name));
  const reply = await server.post('/v2/models/digits/infer', asksFor(testSet.images));
  const { outputs } = reply.json<{ outputs: [{ data: number[] }, { data: number[] }] }>();
  expect(outputs[0].data).toEqual(expected?.labels);
  for (const [n, probability] of outputs[1].data.entries()) {
    expect(probability).toBeCloseTo(expected?.probabilities[n] as number, 5);
  }
});
