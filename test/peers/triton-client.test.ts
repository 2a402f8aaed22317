import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { asksFor, digitsModel, testSet } from '../functions/model-server/digits-data.ts';
import { startReady } from '../functions/model-server/start.ts';
import { pythonEnv, runPython } from './python.ts';

test('the Triton client speaks with the model server, in binary and in JSON', async () => {
  const requirements = new URL('model-server-requirements.txt', import.meta.url);
  const python = await pythonEnv('model-server', await readFile(requirements, 'utf8'));
  await using server = await startReady(digitsModel('digits-v2'));
  const images = fileURLToPath(new URL('../models/digits/test.json', import.meta.url));

  const told = JSON.parse(await runPython(python, 'triton_client.py', [`127.0.0.1:${server.port}`, images]));

  const reply = await server.post('/v2/models/digits/infer', asksFor(testSet.images));
  const [label, probabilities] = reply.json<{ outputs: [{ data: number[] }, { data: number[] }] }>().outputs;
  const expected = { labels: label.data, probabilities: probabilities.data };
  expect(told).toEqual({
    live: true,
    ready: true,
    modelReady: true,
    server: { name: 'cairn', version: '2', extensions: ['binary_tensor_data'] },
    model: (await server.send('GET', '/v2/models/digits')).json(),
    binary: expected,
    json: expected,
    id: '7',
    pending: label.data.slice(0, 20),
    wrongModel: '404: model "x" is not served here; "digits" is',
    wrongShape: '400: input "image" has shape [360,63], expected [-1,64]',
    wrongType: '400: input "image" has datatype "INT64", expected "FP32"',
  });
});
