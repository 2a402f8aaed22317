import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EndpointRef } from '../../shared/ports/serving-platform.ts';
import { openPlatform, PROJECT } from '../shared/adapters/local/process-platform-fixture.ts';
import { type PlatformUnderTest, servingPlatformContract } from './serving-platform.ts';

async function makePlatform(stub: boolean, path: string, body: string): Promise<PlatformUnderTest> {
  const { platform, call, order, processes, exists, endpointDirectory, close } = await openPlatform({}, stub);
  return {
    platform,
    order,
    close,
    async predict(ref) {
      const { status, headers } = await call(ref, path, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
      });
      const revision = headers['cairn-revision'];
      return { status, revision: revision === undefined ? undefined : Number(revision) };
    },
    async killReplica(ref, revision) {
      for (const pid of await processes(ref)) {
        const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
        if (!environment.includes(`/r${revision}/`)) continue;
        process.kill(pid, 'SIGKILL');
        return;
      }
      throw new Error(`revision ${revision} has no process`);
    },
    async remains(ref: EndpointRef) {
      const pids = (await processes(ref)).map((pid) => `process ${pid}`);
      return exists(endpointDirectory(ref)) ? [...pids, endpointDirectory(ref)] : pids;
    },
  };
}

servingPlatformContract('processes of a stub', () => makePlatform(true, 'v2/models/x/infer', '{}'));

const { images } = JSON.parse(await readFile(join(PROJECT, 'test/models/digits/test.json'), 'utf8'));
const digit = { inputs: [{ name: 'image', shape: [1, 64], datatype: 'FP32', data: images[0] }] };
servingPlatformContract('processes of the model server', () =>
  makePlatform(false, `v2/models/${encodeURIComponent('digits ✎')}/infer`, JSON.stringify(digit)),
);
