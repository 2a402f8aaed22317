import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, link, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createGateway,
  type Gateway,
  type GatewaySample,
  parseEndpointUrl,
} from '../../../../shared/adapters/local/gateway.ts';
import {
  openProcessPlatform,
  type ProcessPlatformOptions,
} from '../../../../shared/adapters/local/process-platform.ts';
import type { EndpointRef, RevisionFile, RevisionOrder } from '../../../../shared/ports/serving-platform.ts';

export const PROJECT = new URL('../../../../', import.meta.url).pathname;
export const STUB = join(PROJECT, 'test/contract/stub-model-server.mjs');
export const MODEL_SERVER = join(PROJECT, 'functions/model-server/main.ts');
/** What a replica that runs the model server reads of the project. */
export const PROGRAM = ['node_modules', 'functions/model-server', 'shared', 'package.json'].map((path) =>
  join(PROJECT, path),
);

export type Answer = { status: number; headers: Record<string, unknown>; body: string };

/** A process platform with a gateway in front, in a temporary directory. */
export async function openPlatform(options: Partial<ProcessPlatformOptions> = {}, stub = true) {
  const directory = await mkdtemp(join(tmpdir(), 'cairn-platform-'));
  const blobs = join(directory, 'blobs');
  await cp(join(PROJECT, 'test/models/digits'), blobs, { recursive: true });
  await writeFile(join(blobs, 'stub.onnx'), 'stub');
  await writeFile(join(blobs, 'broken.onnx'), 'broken');
  const platform = await openProcessPlatform({
    directory: join(directory, 'serving'),
    clock: { now: () => Date.now() },
    entry: stub ? STUB : MODEL_SERVER,
    program: stub ? [STUB] : PROGRAM,
    materialise: (file, target) => link(join(blobs, file.key), target),
    ...options,
    times: { check: 100, firstPause: 20, drain: 10_000, ...options.times },
  });
  const samples: GatewaySample[] = [];
  const gateway: Gateway = createGateway({
    routes: platform.routes,
    authorise: async () => {},
    record: (sample) => samples.push(sample),
    problemOf: (error, requestId) => ({ code: error.code, detail: error.detail, requestId }),
    onError: (error) => {
      throw error;
    },
    timeout: 20_000,
  });
  const server = createServer((req, res) => {
    const target = parseEndpointUrl(req.url ?? '');
    if (target) void gateway(req, res, target);
    else res.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true });

  function call(
    { workspace, endpoint }: EndpointRef,
    path: string,
    init: { method?: string; body?: string | Buffer; headers?: Record<string, string> } = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          host: '127.0.0.1',
          port,
          agent,
          method: init.method ?? 'GET',
          path: `/endpoints/${workspace}/${endpoint}/${path}`,
          headers: init.headers ?? {},
        },
        (incoming) => {
          const chunks: Buffer[] = [];
          incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
          incoming.on('error', reject);
          incoming.on('end', () =>
            resolve({
              status: incoming.statusCode ?? 0,
              headers: incoming.headers,
              body: Buffer.concat(chunks).toString(),
            }),
          );
        },
      );
      outgoing.on('error', reject);
      outgoing.end(init.body);
    });
  }

  async function fileOf(name: string): Promise<RevisionFile> {
    const bytes = await readFile(join(blobs, name));
    return {
      path: 'model.onnx',
      size: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      key: name,
    };
  }
  const files = {
    good: await fileOf(stub ? 'stub.onnx' : 'digits-v1.onnx'),
    broken: await fileOf('broken.onnx'),
  };

  function order(
    ref: EndpointRef,
    revision: number,
    replicas: number,
    kind: 'good' | 'broken' = 'good',
  ): RevisionOrder {
    const resources = { cpu: 1, memoryMiB: 2048 };
    return {
      ...ref,
      revision,
      model: 'digits ✎',
      version: revision,
      files: [files[kind]],
      resources,
      replicas,
    };
  }

  return {
    platform,
    directory,
    samples,
    call,
    order,
    port,
    endpointDirectory: ({ workspace, endpoint }: EndpointRef) =>
      join(directory, 'serving/endpoints', workspace, endpoint),
    /** Ids of the processes that run in a directory of the endpoint. */
    async processes({ workspace, endpoint }: EndpointRef): Promise<number[]> {
      const ledger = join(directory, 'serving/processes');
      const pids = (await readdir(ledger)).map(Number);
      const own: number[] = [];
      for (const pid of pids) {
        const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
        if (environment.includes(`/endpoints/${workspace}/${endpoint}/`)) own.push(pid);
      }
      return own;
    },
    exists: (path: string) => existsSync(path),
    async close() {
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await platform.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
