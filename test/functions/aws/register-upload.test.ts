import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type IncomingBucket, ObjectGone } from '../../../functions/aws/incoming-bucket.ts';
import { registerUploads } from '../../../functions/aws/register-upload.ts';
import { CairnError } from '../../../shared/errors.ts';
import { listModels } from '../../../shared/registry/model.ts';
import { listFiles, listVersions } from '../../../shared/registry/version.ts';
import { someone } from '../../support/local-ports.ts';
import { asRole, type FunctionPorts, openFunctionPorts, queueEvent } from './aws-fixture.ts';

const ada = someone('ada', 'admin');
const BUCKET = 'incoming';

/** A versioned bucket in memory: as much of S3 as the function sees. */
class Bucket implements IncomingBucket {
  readonly versions: {
    key: string;
    bytes: Uint8Array;
    versionId: string;
    etag: string;
    modifiedAt: number;
  }[] = [];
  readonly gone = new Set<string>();
  seconds = 1000;

  put(key: string, content: string | Uint8Array): object {
    const bytes = Buffer.from(content);
    const etag = createHash('md5').update(bytes).digest('hex');
    const versionId = `v${this.versions.length + 1}`;
    this.gone.delete(key);
    this.versions.push({ key, bytes, versionId, etag: `"${etag}"`, modifiedAt: this.seconds });
    return notification(key, { versionId, eTag: etag });
  }

  #current() {
    const newest = new Map(this.versions.map((one) => [one.key, one]));
    return [...newest.values()].filter(({ key }) => !this.gone.has(key));
  }

  get keys() {
    return this.#current().map(({ key }) => key);
  }

  async *open({ key, versionId }: { key: string; versionId?: string | undefined }) {
    const found = versionId
      ? this.versions.find((one) => one.versionId === versionId)
      : this.#current().find((one) => one.key === key);
    if (!found) throw new ObjectGone(key);
    yield found.bytes;
  }

  async stat(wanted: string) {
    return this.#current().find(({ key }) => key === wanted);
  }

  async list(prefix: string) {
    return this.#current()
      .filter(({ key }) => key.startsWith(prefix))
      .map(({ versionId: _, ...one }) => one);
  }

  async remove({ key, etag }: { key: string; etag?: string | undefined }) {
    const found = this.#current().find((one) => one.key === key);
    if (found?.etag.replaceAll('"', '') === etag?.replaceAll('"', '')) this.gone.add(key);
  }
}

/** Source: docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html. */
const notification = (key: string, object: { versionId?: string; eTag?: string; sequencer?: string }) => ({
  Records: [
    {
      eventVersion: '2.3',
      eventSource: 'aws:s3',
      awsRegion: 'us-east-1',
      eventTime: '2026-11-24T17:00:00.000Z',
      eventName: 'ObjectCreated:Put',
      userIdentity: { principalId: 'AWS:AROA' },
      s3: {
        s3SchemaVersion: '1.0',
        configurationId: 'arrivals',
        bucket: { name: BUCKET, arn: `arn:aws:s3:::${BUCKET}` },
        object: {
          key: encodeURIComponent(key).replaceAll('%2F', '/').replaceAll('%20', '+'),
          size: 1,
          sequencer: '0055AED6DCD90281E5',
          ...object,
        },
      },
    },
  ],
});

let ports: FunctionPorts;
let incoming: Bucket;
beforeEach(async () => {
  ports = await openFunctionPorts();
  incoming = new Bucket();
});
afterEach(() => ports.close());

const deliver = (...bodies: unknown[]) =>
  registerUploads({ ...asRole('register-upload', ports), incoming })(queueEvent(...bodies));

async function versionsOf(name: string) {
  const ref = { workspace: 'default', name };
  const { items } = await listVersions(ports, ada, ref, { limit: 100 });
  const filesOf = async (number: number) => (await listFiles(ports, ada, { ...ref, number })).files;
  return Promise.all(
    items.map(async ({ number }) => (await filesOf(number)).map(({ path, size }) => [path, size])),
  );
}

test('a dropped file becomes a version and is taken away, whatever is in its name', async () => {
  const onnx = await readFile(join(import.meta.dirname, '../../models/digits/digits-v1.onnx'));
  const told = incoming.put('default/digits/model v1+2 ü%.onnx', onnx);
  expect(await deliver(told)).toEqual({ batchItemFailures: [] });
  expect(await versionsOf('digits')).toEqual([[['model v1+2 ü%.onnx', onnx.length]]]);
  expect(incoming.keys).toEqual([]);
});

test('an object that S3 tells of again and again is one version; another object of that name is another', async () => {
  const first = incoming.put('default/digits/a.bin', 'first');
  await deliver(first, first);
  await deliver(first);
  await Promise.all([deliver(first), deliver(first)]);
  const second = incoming.put('default/digits/a.bin', 'the second');
  await deliver(first);
  expect(incoming.keys).toEqual(['default/digits/a.bin']);
  await deliver(second, first);
  expect(await versionsOf('digits')).toEqual(expect.arrayContaining([[['a.bin', 5]], [['a.bin', 10]]]));
  expect(await versionsOf('digits')).toHaveLength(2);
  expect(incoming.keys).toEqual([]);
});

test('a file of no bytes is a version too', async () => {
  await deliver(incoming.put('default/zero/empty.bin', ''));
  expect(await versionsOf('zero')).toEqual([[['empty.bin', 0]]]);
});

test('a folder is complete with its marker, in whatever order it is told of, and what comes later is left', async () => {
  const told = [
    incoming.put('default/run/2026 11/a.txt', 'a'),
    incoming.put('default/run/2026 11/sub/b.txt', 'bb'),
    incoming.put('default/run/2026 11/.hidden', 'h'),
  ];
  const marker = incoming.put('default/run/2026 11/_SUCCESS', '');
  incoming.seconds += 1;
  incoming.put('default/run/2026 11/later.txt', 'of the next run');
  expect(await deliver(marker, ...told, marker)).toEqual({ batchItemFailures: [] });
  expect(await versionsOf('run')).toEqual([
    [
      ['a.txt', 1],
      ['sub/b.txt', 2],
    ],
  ]);
  expect(incoming.keys).toEqual(['default/run/2026 11/later.txt']);
});

test('what completes nothing is left alone: S3’s test event, folders, parts of a folder, partial files', async () => {
  const told = ['default/', 'default/digits/', 'default/digits/run/x.bin', 'default/digits/x.part'].map(
    (key) => incoming.put(key, ''),
  );
  const test = {
    Service: 'Amazon S3',
    Event: 's3:TestEvent',
    Time: '2026-11-24T17:00:00.000Z',
    Bucket: BUCKET,
  };
  expect(await deliver(test, ...told)).toEqual({ batchItemFailures: [] });
  expect(incoming.keys).toHaveLength(4);
  expect(ports.lines).toEqual([]);
});

test('what cannot be a version stays, and an event says why', async () => {
  const onnx = incoming.put('default/broken/model.onnx', 'no ONNX');
  const name = incoming.put('default/bad:name/x.bin', 'x');
  expect(await deliver(onnx, name)).toEqual({ batchItemFailures: [] });
  expect(incoming.keys).toHaveLength(2);
  expect(ports.events.filter(({ type }) => type === 'incoming.rejected')).toMatchObject([
    { workspace: 'default', data: { key: 'default/broken/model.onnx', code: 'MODEL_FILE_INVALID' } },
    { data: { key: 'default/bad:name/x.bin', code: 'INVALID_ARGUMENT' } },
  ]);
  const page = { workspace: 'default', limit: 10 };
  expect((await listModels(ports, ada, page)).items).toEqual([]);
});

test('only messages that failed come again, and are then registered', async () => {
  const good = incoming.put('default/good/a.bin', 'a');
  const bad = incoming.put('default/later/b.bin', 'b');
  const open = incoming.open.bind(incoming);
  incoming.open = async function* (object) {
    if (object.key.includes('later')) throw new CairnError('STORAGE_FULL', 'There is no room.');
    yield* open(object);
  };
  expect(await deliver(good, bad, '{"not": json')).toEqual({
    batchItemFailures: [{ itemIdentifier: 'message-2' }, { itemIdentifier: 'message-3' }],
  });
  incoming.open = open;
  await deliver(bad);
  expect([await versionsOf('good'), await versionsOf('later')]).toEqual([[[['a.bin', 1]]], [[['b.bin', 1]]]]);
});

test('an object that somebody removed before it was read is no failure', async () => {
  const told = incoming.put('default/gone/a.bin', 'a');
  incoming.versions.length = 0;
  expect(await deliver(told)).toEqual({ batchItemFailures: [] });
  expect(ports.lines).toMatchObject([{ key: 'default/gone/a.bin' }]);
});
