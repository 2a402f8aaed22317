import { execFileSync } from 'node:child_process';
import dns from 'node:dns';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { telling } from '../../functions/local/bucket-bytes.ts';
import { openS3BlobStore } from '../../shared/adapters/aws/s3-blob-store.ts';
import { openS3Client, type S3ClientOptions } from '../../shared/adapters/aws/s3-client.ts';
import { probeS3 } from '../../shared/adapters/aws/s3-probe.ts';
import { installCli } from '../cli/harness.ts';
import { startServer, TOKEN } from '../support/server.ts';
import { TEST_REGION } from './aws-server.ts';
import { startVersitygw } from './aws-versitygw.ts';
import { blobStoreEnv, type S3Server } from './s3-server.ts';

const REGION = 'eu-west-1';

let dir: string;
let server: S3Server;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-trouble-'));
  server = await startVersitygw({ region: REGION });
});
afterAll(async () => {
  await server.close();
  await rm(dir, { recursive: true, force: true });
});

describe('start-up says in a sentence', () => {
  const said = async (options: S3ClientOptions, bucket = server.bucket) => {
    const { endpoint, credentials } = server;
    const client = openS3Client({ endpoint, region: REGION, pathStyle: true, credentials, ...options });
    const outcome = await probeS3({ client, bucket })
      .catch(telling(`s3://${bucket}`))
      .then(
        () => 'nothing',
        (error: Error) => error.message,
      );
    client.destroy();
    return outcome;
  };
  const secretAccessKey = 'other';

  test.each([
    [{ region: 'us-east-1' }, 'it is of another region than requests are signed for: give region=… ('],
    [{ credentials: { accessKeyId: 'other', secretAccessKey } }, 'it refuses the credentials, or they do'],
    [
      { credentials: { accessKeyId: 'cairntest', secretAccessKey } },
      'it refuses the credentials, or they do',
    ],
    [{ endpoint: 'http://127.0.0.1:1' }, 'it cannot be reached (ECONNREFUSED'],
  ])('what is wrong with %j', async (options, sentence) => {
    expect(await said(options)).toMatch(
      new RegExp(`^CAIRN_BLOB_STORE: s3://cairn cannot be used: ${sentence.replaceAll('(', '\\(')}.*\\.$`),
    );
  });

  test('that there is no such bucket: nor where the endpoint’s path is taken for one', async () => {
    const sentence = 'cannot be used: there is no such bucket.';
    expect(await said({}, 'other')).toContain(sentence);
    expect(await said({ endpoint: `${server.endpoint}/path` })).toContain(sentence);
  });

  test('that it does not speak TLS, and that a host name for each bucket does not exist', async () => {
    expect(await said({ endpoint: server.endpoint.replace('http:', 'https:') })).toContain('EPROTO');
    const elsewhere = server.endpoint.replace('127.0.0.1', 'store.invalid');
    expect(await said({ endpoint: elsewhere, pathStyle: false })).toContain('cairn.store.invalid');
  });

  test('that the clocks differ, by how much', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 1_800_000 });
    try {
      expect(await said({})).toMatch(/the store’s clock is 1(799|80\d) seconds ahead of this machine’s\.$/);
    } finally {
      vi.useRealTimers();
    }
  });
});

/** Leads to the store. */
function wired(socket: Socket): void {
  const store = connect(Number(new URL(server.endpoint).port), '127.0.0.1');
  for (const [one, other] of [
    [socket, store],
    [store, socket],
  ] as const) {
    one.on('error', () => undefined).on('close', () => other.destroy());
    one.pipe(other);
  }
}

async function listening(wire: Server): Promise<string> {
  await once(wire.listen(0, '127.0.0.1'), 'listening');
  return `127.0.0.1:${(wire.address() as AddressInfo).port}`;
}

test('buckets with host names of their own', async () => {
  await using store = await startVersitygw({ virtualDomain: 'store.test' });
  const { lookup } = dns;
  const spy = vi
    .spyOn(dns, 'lookup')
    .mockImplementation(((name: string, ...rest: [never]) =>
      lookup(name.replace(/^cairn\.store\.test$/, '127.0.0.1'), ...rest)) as never);
  const endpoint = store.endpoint.replace('127.0.0.1', 'store.test');
  const client = openS3Client({ endpoint, region: TEST_REGION, credentials: store.credentials });
  try {
    expect(await probeS3({ client, bucket: store.bucket })).toMatchObject({ checksums: 'crc64nvme' });
    expect(spy).toHaveBeenCalled();
    expect(new Set(spy.mock.calls.map(([name]) => name))).toEqual(new Set(['cairn.store.test']));
  } finally {
    spy.mockRestore();
    client.destroy();
  }
});

test('https with a CA of one’s own: Cairn and its command need NODE_EXTRA_CA_CERTS, and say so by the code', async () => {
  const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
  const subject = ['-subj', '/CN=store', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  execFileSync('openssl', [...request, ...subject, '-days', '2', '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  });
  await using stack = new AsyncDisposableStack();
  const wire = createTlsServer({ cert: await readFile(cert), key: await readFile(key) }, wired);
  const endpoint = `https://${await listening(wire)}`;
  stack.defer(async () => void wire.close());
  const env = {
    ...blobStoreEnv({ ...server, endpoint }),
    AWS_REGION: REGION,
    NODE_EXTRA_CA_CERTS: undefined,
  };
  await expect(startServer(join(dir, 'unknown'), env)).rejects.toThrow(
    /cannot be used: it cannot be reached \((DEPTH_ZERO_)?SELF_SIGNED_CERT/,
  );
  const cairn = await startServer(join(dir, 'data'), { ...env, NODE_EXTRA_CA_CERTS: cert });
  stack.defer(async () => void (await cairn.stop()));
  const cli = await installCli(() => ({
    CAIRN_URL: cairn.url,
    CAIRN_TOKEN: TOKEN,
    NODE_EXTRA_CA_CERTS: cert,
  }));
  stack.defer(() => cli.remove());
  await writeFile(join(dir, 'weights.bin'), Buffer.alloc(10_000_000, 'a'));
  expect(await cli.json(['push', join(dir, 'weights.bin'), 'weights', '--create'])).toMatchObject({
    status: 'READY',
  });
});

test('a store that goes away in the middle of an upload is told of, leaves no object, and takes it afterwards', async () => {
  const sockets = new Set<Socket>();
  let left = Number.POSITIVE_INFINITY;
  const wire = createServer((socket) => {
    sockets.add(socket);
    socket.on('data', (chunk) => {
      left -= chunk.length;
      if (left < 0) for (const each of sockets) each.destroy();
    });
    wired(socket);
  });
  const { bucket, credentials } = server;
  const endpoint = `http://${await listening(wire)}`;
  const client = openS3Client({ endpoint, region: REGION, pathStyle: true, credentials });
  const store = openS3BlobStore({ client, bucket });
  const bytes = Buffer.alloc(40_000_000, 'b');
  try {
    left = 20_000_000;
    await expect(store.put('broken', bytes)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/breaks off the connection|cannot be reached/),
    });
    expect(await openS3BlobStore(server).stat('broken')).toBeUndefined();
    left = Number.POSITIVE_INFINITY;
    expect(await store.put('broken', bytes)).toMatchObject({ size: bytes.length });
    expect(await store.stat('broken')).toMatchObject({ size: bytes.length });
    await store.delete('broken');
  } finally {
    client.destroy();
    wire.close();
    for (const socket of sockets) socket.destroy();
  }
  // What could not be given up while the store was away is the bucket's lifecycle's.
  const { Uploads = [] } = await server.client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  expect(Uploads.length).toBeLessThanOrEqual(1);
});
