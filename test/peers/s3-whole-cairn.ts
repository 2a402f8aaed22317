import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { cleanUp } from '../../functions/reconcile/housekeeping.ts';
import { openS3BlobStore } from '../../shared/adapters/aws/s3-blob-store.ts';
import { prefixedBlobStore } from '../../shared/adapters/prefixed-blob-store.ts';
import { createVersion } from '../../shared/registry/create-version.ts';
import { deleteModel } from '../../shared/registry/delete-model.ts';
import { createModel } from '../../shared/registry/model.ts';
import { modelPrefix } from '../../shared/storage/prefix.ts';
import { type InstalledCli, installCli } from '../cli/harness.ts';
import { openLocalPorts, someone } from '../support/local-ports.ts';
import { startServer, type TestServer, TOKEN } from '../support/server.ts';
import { runGit } from './git.ts';
import { NEWEST, requirements } from './mlflow-requirements.ts';
import { pythonEnv, runPython } from './python.ts';
import { blobStoreEnv, type S3Server } from './s3-server.ts';

const exec = promisify(execFile);

const DIGITS = join(import.meta.dirname, '../models/digits');
const MODELS = '/api/v1/workspaces/default/models';
const DRAFT = { message: 'm', description: '', tags: {}, source: { via: 'upload' as const } };
const WAIT = { timeout: 60_000, interval: 100 };
/** More than goes in one request, or is hashed within one. */
const LARGE = 70_000_000;
const objectsOnDisk = (data: string) =>
  readdir(join(data, 'blobs/objects'), { recursive: true }).catch((): string[] => []);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** What a whole Cairn promises with its bytes in a bucket, whatever store that is. */
export function wholeCairnContract(name: string, startStore: () => Promise<S3Server>): void {
  describe(`a whole Cairn with its bytes in a bucket of ${name}`, () => {
    let dir: string;
    let store: S3Server;
    let server: TestServer;
    let cli: InstalledCli;

    const start = async () => {
      server = await startServer(join(dir, 'data'), blobStoreEnv(store, 'team/cairn'));
    };
    beforeAll(async () => {
      process.env.MLFLOW_TRACKING_TOKEN = TOKEN;
      dir = await mkdtemp(join(tmpdir(), 'cairn-bucket-'));
      store = await startStore();
      await start();
      cli = await installCli(() => ({ CAIRN_URL: server.url, CAIRN_TOKEN: TOKEN }));
    });
    afterAll(async () => {
      await server?.stop();
      await store?.close();
      await cli?.remove();
      await rm(dir, { recursive: true, force: true });
    });

    const version = async (model: string, number: number) =>
      (await server.api('GET', `${MODELS}/${model}/versions/${number}`)).body;
    const git = async (where: string, ...args: string[]) => {
      const { status, stdout, stderr } = await runGit(dir, join(dir, where), args);
      if (status !== 0) throw new Error(`git ${args.join(' ')} failed (${status}):\n${stderr}${stdout}`);
      return stderr + stdout;
    };
    const remote = (model: string) => `${server.url.replace('://', `://git:${TOKEN}@`)}/default/${model}.git`;

    test('the command pushes small and large files straight to the bucket, and pulls what it pushed', async () => {
      await mkdir(join(dir, 'model'));
      const large = randomBytes(LARGE);
      await writeFile(join(dir, 'model/weights.bin'), large);
      await writeFile(join(dir, 'model/README.md'), '# Weights\n');
      expect(await cli.json(['push', join(dir, 'model'), 'weights', '--create'])).toMatchObject({
        version: 1,
        status: 'READY',
        fileCount: 2,
      });
      await cli.json(['pull', 'weights@1', join(dir, 'pulled')]);
      expect(sha256(await readFile(join(dir, 'pulled/weights.bin')))).toBe(sha256(large));
      const found = await fetch(`${server.url}${MODELS}/weights/versions/1/files/weights.bin`, {
        headers: { authorization: `Bearer ${TOKEN}` },
        redirect: 'manual',
      });
      expect([found.status, new URL(found.headers.get('location') ?? '').origin]).toEqual([
        302,
        store.endpoint,
      ]);
    });

    test('git pushes and clones with LFS, also in parts, and `cairn export` makes a bundle', async () => {
      await cli.json(['push', join(DIGITS, 'digits-v1.onnx'), 'tree', '--create']);
      await git('.', 'lfs', 'install');
      await git('.', 'clone', '-q', remote('tree'), 'tree');
      expect(await readFile(join(dir, 'tree/digits-v1.onnx'))).toEqual(
        await readFile(join(DIGITS, 'digits-v1.onnx')),
      );
      await git('tree', 'lfs', 'track', '*.bin');
      const large = randomBytes(LARGE);
      await writeFile(join(dir, 'tree/large.bin'), large);
      await writeFile(join(dir, 'tree/note.txt'), 'small');
      await git('tree', 'add', '-A');
      await git('tree', 'commit', '-q', '-m', 'Large');
      expect(await git('tree', 'push', 'origin', 'HEAD:main')).toContain('tree@2 is READY');
      await git('.', 'clone', '-q', remote('tree'), 'tree-again');
      expect(sha256(await readFile(join(dir, 'tree-again/large.bin')))).toBe(sha256(large));

      const inParts = randomBytes(LARGE);
      const object = { oid: sha256(inParts), size: LARGE };
      const batch = await lfs('tree', 'objects/batch', {
        operation: 'upload',
        transfers: ['multipart', 'basic'],
        objects: [object],
      });
      expect(batch.transfer).toBe('multipart');
      const { upload, verify } = batch.objects[0].actions;
      const { chunk_size, ...urls } = upload.header as Record<string, string>;
      const size = Number(chunk_size);
      for (const [number, url] of Object.entries(urls)) {
        const from = (Number(number) - 1) * size;
        const sent = await fetch(url, { method: 'PUT', body: inParts.subarray(from, from + size) });
        expect(sent.status).toBe(200);
      }
      expect((await fetch(upload.href, { method: 'POST', body: '{}' })).status).toBe(200);
      expect(
        (await fetch(verify.href, { method: 'POST', headers: verify.header, body: JSON.stringify(object) }))
          .status,
      ).toBe(200);
      await vi.waitFor(async () => {
        const down = await lfs('tree', 'objects/batch', { operation: 'download', objects: [object] });
        const got = await fetch(down.objects[0].actions.download.href);
        expect(sha256(Buffer.from(await got.arrayBuffer()))).toBe(object.oid);
      }, WAIT);

      await cli.json(['export', 'tree', join(dir, 'tree.bundle')]);
      await git(
        '.',
        'clone',
        '-q',
        join(dir, 'tree.bundle'),
        'unbundled',
        '-c',
        'filter.lfs.smudge=',
        '-c',
        'filter.lfs.required=false',
      );
      expect(await git('unbundled', 'rev-parse', 'HEAD')).toBe(await git('tree', 'rev-parse', 'HEAD'));
    });

    test('MLflow’s client logs artifacts, also in parts, and loads what it registered', async () => {
      const python = await pythonEnv('mlflow', requirements(NEWEST));
      const said = JSON.parse(
        (await runPython(python, 'mlflow_large.py', [server.url, 'logged'])).trim().split('\n').at(-1) ?? '',
      );
      expect(said).toMatchObject({ status: 'READY', second: 'READY', same: true, left: [] });
    }, 600_000);

    test('a file in the drop folder becomes a version', async () => {
      await mkdir(join(dir, 'data/incoming/default/dropped'), { recursive: true });
      await writeFile(join(dir, 'note'), 'dropped');
      await rename(join(dir, 'note'), join(dir, 'data/incoming/default/dropped/note.txt'));
      await vi.waitFor(async () => expect((await version('dropped', 1)).status).toBe('READY'), WAIT);
      expect((await server.api('GET', `${MODELS}/dropped/versions/1/files/note.txt`)).body).toBe('dropped');
    });

    test('an endpoint runs what is in the bucket, also after kill -9', async () => {
      await cli.json(['push', join(DIGITS, 'digits-v2.onnx'), 'digits', '--create']);
      expect((await cli.run(['deploy', 'digits@1', '--bake-seconds', '0'])).status).toBe(0);
      const test = JSON.parse(await readFile(join(DIGITS, 'test.json'), 'utf8'));
      const input = join(dir, 'images.json');
      await writeFile(input, JSON.stringify(test.images.slice(0, 50)));
      const predict = async () => {
        const { outputs } = await cli.json(['predict', 'digits', '--input', input]);
        return outputs.find(({ name }: { name: string }) => name === 'label').data;
      };
      const before = await predict();
      await server.kill();
      await start();
      await vi.waitFor(async () => expect(await predict()).toEqual(before), WAIT);
      expect(await version('weights', 1)).toMatchObject({ status: 'READY' });
      expect((await cli.json(['audit', 'verify'])).ok).toBe(true);
    });

    test('while the store does not answer, Cairn is not ready, says so, and is again afterwards', async () => {
      const ready = () => server.api('GET', '/readyz');
      expect((await ready()).status).toBe(200);
      process.kill(store.pid, 'SIGSTOP');
      try {
        expect(await ready()).toMatchObject({
          status: 503,
          body: {
            code: 'STORAGE_UNAVAILABLE',
            detail: 'The bucket cannot be used: it does not answer in time.',
          },
        });
        expect((await cli.run(['doctor'])).stdout).toContain('The bucket cannot be used');
      } finally {
        process.kill(store.pid, 'SIGCONT');
      }
      await vi.waitFor(async () => expect((await ready()).status).toBe(200), WAIT);
    });

    test('another data folder is refused the bucket’s prefix', async () => {
      const other = startServer(join(dir, 'other'), blobStoreEnv(store, 'team/cairn'));
      await expect(other).rejects.toThrow('has the bytes of another Cairn');
    });

    test('bytes move by a command from the folder to a bucket, to another one and back, also when it is killed', async () => {
      const data = join(dir, 'moving');
      const [first, second] = [blobStoreEnv(store, 'moved'), blobStoreEnv(store, 'again')];
      const script = join(import.meta.dirname, '../../functions/local/move-bytes.ts');
      const move = (env: Record<string, string>, ...to: string[]) =>
        exec(process.execPath, [script, ...to], {
          env: { PATH: process.env.PATH, CAIRN_DATA_DIR: data, ...env },
        });
      const files = Array.from({ length: 50 }, (_, n) => ({
        path: `file-${n}.bin`,
        content: randomBytes(40_000).toString('base64'),
      }));
      const requireBytes = async (env: Record<string, string> = {}) => {
        const cairn = await startServer(data, env);
        await using stack = new AsyncDisposableStack();
        stack.defer(async () => void (await cairn.stop()));
        for (const { path, content } of files) {
          const found = await fetch(`${cairn.url}${MODELS}/moved/versions/1/files/${path}`, {
            headers: { authorization: `Bearer ${TOKEN}` },
          });
          expect(Buffer.from(await found.arrayBuffer()).toString('base64')).toBe(content);
        }
        expect((await cairn.api('GET', '/api/v1/workspaces/default/audit/verification')).body.ok).toBe(true);
      };
      const onDisk = await startServer(data);
      await onDisk.api('POST', MODELS, { name: 'moved' });
      expect((await onDisk.api('POST', `${MODELS}/moved/versions`, { files })).status).toBe(201);
      await expect(move(first)).rejects.toThrow('is in use by another server');
      await onDisk.stop();

      await expect(startServer(data, first)).rejects.toThrow('npm run move-bytes');
      expect((await move(first)).stdout).toMatch(
        /^Copied [1-9].*\nStart Cairn with CAIRN_BLOB_STORE set to it/,
      );
      await expect(move(first)).rejects.toThrow('set CAIRN_BLOB_STORE to where they are');
      await rm(join(data, 'blobs'), { recursive: true });
      await requireBytes(first);
      await expect(startServer(data)).rejects.toThrow('set CAIRN_BLOB_STORE to where they are');

      expect((await move(first, second.CAIRN_BLOB_STORE ?? '')).stdout).toMatch(/^Copied [1-9]/);
      await requireBytes(second);
      await expect(startServer(data, first)).rejects.toThrow('from before they were moved');

      const killed = move(second, 'folder');
      const ended = killed.catch((error) => error);
      await vi.waitFor(async () => expect((await objectsOnDisk(data)).length).toBeGreaterThan(3), WAIT);
      killed.child.kill('SIGKILL');
      await ended;
      // It may have come to its end first.
      const again = await move(second, 'folder').catch((error) => error);
      expect(again.stdout + again.stderr).toMatch(/Copied |are in itself/);
      await requireBytes();
      await expect(startServer(data, second)).rejects.toThrow('npm run move-bytes');
    }, 120_000);

    test('the bytes of what was deleted are removed from the bucket, and nothing else is', async () => {
      const local = await openLocalPorts();
      const client = store.client;
      const blobs = prefixedBlobStore(openS3BlobStore({ client, bucket: store.bucket }), 'garbage/');
      const ports = { ...local, blobs };
      const ada = someone('ada', 'admin');
      const publish = async (name: string) => {
        const model = await createModel(ports, ada, {
          workspace: 'default',
          name,
          description: '',
          tags: {},
        });
        const files = [{ path: 'w.bin', bytes: randomBytes(1000) }];
        await createVersion(ports, ada, { workspace: 'default', name }, DRAFT, files);
        return modelPrefix('default', model.id);
      };
      const held = async (prefix: string) => (await blobs.list(prefix)).objects.length;
      try {
        const [gone, kept] = [await publish('gone'), await publish('kept')];
        expect([await held(gone), await held(kept)]).toEqual([1, 1]);
        await deleteModel(ports, ada, { workspace: 'default', name: 'gone' });
        local.clock.advance(Date.now() - local.clock.now() + 3 * 24 * 3600 * 1000);
        const { failed } = await cleanUp(ports, { onError: (error) => console.error(error) });
        expect(failed).toBe(0);
        expect([await held(gone), await held(kept)]).toEqual([0, 1]);
      } finally {
        await local.close();
      }
    });

    async function lfs(model: string, path: string, body: object) {
      const answer = await fetch(`${server.url}/default/${model}.git/info/lfs/${path}`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${TOKEN}`,
          'content-type': 'application/vnd.git-lfs+json',
        },
        body: JSON.stringify(body),
      });
      // biome-ignore lint/suspicious/noExplicitAny: what it looks like is what the test is about
      return (await answer.json()) as any;
    }
  });
}
