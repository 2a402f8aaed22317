import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type StartedServer, startReady } from '../functions/model-server/start.ts';
import { pythonEnv, runPython } from './python.ts';

interface Magika {
  model: string;
  space: string[];
  files: { input: number[]; scores: number[]; label: string }[];
}

const FILES = ['package.json', 'LICENSE', 'functions/model-server/server.ts', 'test/models/digits/train.py'];
const INFER = '/v2/models/magika/infer';

let magika: Magika;
let server: StartedServer;
beforeAll(async () => {
  const requirements = new URL('model-server-requirements.txt', import.meta.url);
  const python = await pythonEnv('model-server', await readFile(requirements, 'utf8'));
  const paths = FILES.map((path) => fileURLToPath(new URL(`../../${path}`, import.meta.url)));
  magika = JSON.parse(await runPython(python, 'magika_answers.py', paths));
  server = await startReady(await readFile(magika.model), { name: 'magika' });
});
afterAll(() => server?.stop());

function expectScores(given: ArrayLike<number>, file: Magika['files'][number]): void {
  expect(given).toHaveLength(file.scores.length);
  for (let n = 0; n < given.length; n++) {
    expect(Math.abs((given[n] as number) - (file.scores[n] as number))).toBeLessThan(1e-4);
  }
  const best = Array.from(given).indexOf(Math.max(...Array.from(given)));
  expect(magika.space[best]).toBe(file.label);
}

test('the model server knows what goes into Magika', async () => {
  const metadata = (await server.send('GET', '/v2/models/magika')).json<{ inputs: unknown[] }>();
  expect(metadata.inputs).toEqual([{ name: 'bytes', datatype: 'INT32', shape: [expect.any(Number), 2048] }]);
});

test('real files get the scores that Magika gives them, in JSON', async () => {
  for (const file of magika.files) {
    const inputs = [{ name: 'bytes', datatype: 'INT32', shape: [1, 2048], data: file.input }];
    const reply = await server.post(INFER, { inputs });
    expectScores(reply.json<{ outputs: [{ data: number[] }] }>().outputs[0].data, file);
  }
});

test('and in binary', async () => {
  for (const file of magika.files) {
    const data = Buffer.from(Int32Array.from(file.input).buffer);
    const parameters = { binary_data_size: data.length };
    const inputs = [{ name: 'bytes', datatype: 'INT32', shape: [1, 2048], parameters }];
    const head = Buffer.from(JSON.stringify({ inputs, parameters: { binary_data_output: true } }));
    const headers = { 'inference-header-content-length': String(head.length) };
    const reply = await server.send('POST', INFER, { headers, body: Buffer.concat([head, data]) });
    const length = Number(reply.headers['inference-header-content-length']);
    expectScores(new Float32Array(Uint8Array.from(reply.body.subarray(length)).buffer), file);
  }
});

test('a hundred requests at once get them too', async () => {
  const asked = Array.from(
    { length: 100 },
    (_, n) => magika.files[n % magika.files.length] as Magika['files'][number],
  );
  await Promise.all(
    asked.map(async (file) => {
      const inputs = [{ name: 'bytes', datatype: 'INT32', shape: [1, 2048], data: file.input }];
      const reply = await server.post(INFER, { inputs });
      expectScores(reply.json<{ outputs: [{ data: number[] }] }>().outputs[0].data, file);
    }),
  );
});
