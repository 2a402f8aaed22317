import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  BlobError,
  type BlobErrorCode,
  type BlobStore,
  type PartStat,
} from '../../shared/ports/blob-store.ts';

export interface BlobStoreUnderTest {
  readonly store: BlobStore;
  /** The smallest part the store takes that is not the last: 5 MiB on S3. */
  readonly minPartSize: number;
  /** Makes so many seconds pass for the store: on a real server by waiting. */
  pass(seconds: number): Promise<void>;
  close(): Promise<void>;
}

/** What a real server is known not to do, and Cairn does not need of it. */
export interface ContractOptions {
  readonly keyParts?: readonly string[];
  /** A part that is sent again replaces the one before when so much time has passed. */
  readonly secondsBetweenResends?: number;
  /** Of writers at once with `ifAbsent` several may win: it looks, and then writes. */
  readonly looksBeforeWriting?: boolean;
}

/**
 * What every BlobStore promises, presigned URLs by real HTTP included. The store may hold other objects: each test
 * keeps to a prefix of its own.
 */
export function blobStoreContract(
  name: string,
  open: () => Promise<BlobStoreUnderTest>,
  { keyParts = KEYS, secondsBetweenResends = 0, looksBeforeWriting = false }: ContractOptions = {},
): void {
  describe(`BlobStore: ${name}`, () => {
    let opened: BlobStoreUnderTest;
    let store: BlobStore;
    beforeAll(async () => {
      opened = await open();
      store = opened.store;
    });
    afterAll(() => opened?.close());

    const read = async (key: string, range?: { start: number; end?: number }): Promise<Buffer> => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of await store.get(key, range)) chunks.push(chunk);
      return Buffer.concat(chunks);
    };
    const code = async (work: Promise<unknown>): Promise<BlobErrorCode | 'none'> => {
      try {
        await work;
        return 'none';
      } catch (error) {
        if (error instanceof BlobError) return error.code;
        throw error;
      }
    };

    describe('put', () => {
      it.each([0, 1, 1000, 3_000_001])('%d bytes are read back as they were', async (size) => {
        const key = `${prefix()}a`;
        const bytes = patterned(size);
        const sha256 = digest(bytes);
        const put = await store.put(key, bytes, { sha256, size });
        expect(put).toMatchObject({ size, sha256 });
        expect(await read(key)).toEqual(bytes);
        expect(await store.stat(key)).toMatchObject({ size, etag: put.etag });
      });

      it('takes a stream of chunks of any size', async () => {
        const key = `${prefix()}a`;
        const bytes = patterned(5_000_000);
        const put = await store.put(key, chunked(bytes, [1, 0, 700, 65_536, 1_500_000]), {
          size: bytes.length,
        });
        expect(put.size).toBe(bytes.length);
        expect(digest(await read(key))).toBe(digest(bytes));
      });

      it('replaces what was there', async () => {
        const key = `${prefix()}a`;
        const first = await store.put(key, Buffer.from('first'));
        const second = await store.put(key, Buffer.from('other'));
        expect(second.etag).not.toBe(first.etag);
        expect((await read(key)).toString()).toBe('other');
      });

      it('with `ifAbsent` leaves what was there', async () => {
        const key = `${prefix()}a`;
        await store.put(key, Buffer.from('first'), { ifAbsent: true });
        expect(await code(store.put(key, Buffer.from('second'), { ifAbsent: true }))).toBe('EXISTS');
        expect((await read(key)).toString()).toBe('first');
      });

      it('with `ifAbsent` has exactly one winner among many', async () => {
        const key = `${prefix()}a`;
        const codes = await Promise.all(
          Array.from({ length: 12 }, (_, n) => code(store.put(key, Buffer.from(`${n}`), { ifAbsent: true }))),
        );
        const winners = codes.flatMap((outcome, n) => (outcome === 'none' ? [`${n}`] : []));
        expect(codes.filter((outcome) => outcome === 'EXISTS')).toHaveLength(12 - winners.length);
        if (!looksBeforeWriting) expect(winners).toHaveLength(1);
        expect(winners).toContain((await read(key)).toString());
      });

      it('of other bytes than announced leaves nothing', async () => {
        const at = prefix();
        const bytes = patterned(200_000);
        const wrong = digest(Buffer.from('other'));
        expect(await code(store.put(`${at}a`, bytes, { sha256: wrong }))).toBe('DIGEST_MISMATCH');
        const stream = chunked(bytes, [50_000]);
        expect(await code(store.put(`${at}b`, stream, { sha256: wrong, size: bytes.length }))).toBe(
          'DIGEST_MISMATCH',
        );
        expect((await store.list(at)).objects).toEqual([]);
      });

      it('of more or fewer bytes than announced leaves nothing', async () => {
        const at = prefix();
        const bytes = patterned(200_000);
        for (const size of [199_999, 200_001, 0]) {
          expect(await code(store.put(`${at}a`, bytes, { size }))).toBe('SIZE_MISMATCH');
          expect(await code(store.put(`${at}b`, chunked(bytes, [50_000]), { size }))).toBe('SIZE_MISMATCH');
        }
        expect((await store.list(at)).objects).toEqual([]);
      });

      it('of a stream that breaks off leaves what was there', async () => {
        const at = prefix();
        await store.put(`${at}old`, Buffer.from('old'));
        const broken = async function* () {
          yield patterned(100_000);
          throw new Error('the source broke');
        };
        await expect(store.put(`${at}old`, broken(), { size: 200_000 })).rejects.toThrow('the source broke');
        await expect(store.put(`${at}new`, broken(), { size: 200_000 })).rejects.toThrow('the source broke');
        expect((await read(`${at}old`)).toString()).toBe('old');
        expect((await store.list(at)).objects.map(({ key }) => key)).toEqual([`${at}old`]);
      });

      it.each(['', '/a', 'a/', 'a//b', '.', '..', 'a/../b', 'a/./b', '../a', 'a\0b'])(
        'refuses the key %j',
        async (key) => {
          expect(await code(store.put(key, Buffer.from('x')))).toBe('INVALID_KEY');
          expect(await code(store.get(key))).toBe('INVALID_KEY');
          expect(await code(store.copy(key, `${prefix()}a`))).toBe('INVALID_KEY');
          expect(await code(store.createMultipart(key, { size: 1, partSize: opened.minPartSize }))).toBe(
            'INVALID_KEY',
          );
        },
      );

      it.each(keyParts)('takes the key part %j', async (part) => {
        const at = prefix();
        const key = `${at}${part}/${part}`;
        await store.put(key, Buffer.from(part));
        expect((await read(key)).toString()).toBe(part);
        expect((await store.list(at)).objects.map((entry) => entry.key)).toEqual([key]);
      });
    });

    describe('get', () => {
      const bytes = patterned(100_000);
      let key: string;
      beforeAll(async () => {
        key = `${prefix()}a`;
        await store.put(key, bytes);
      });

      it.each([
        { start: 0, end: 0 },
        { start: 0, end: 99_999 },
        { start: 99_999, end: 99_999 },
        { start: 12_345, end: 67_890 },
        { start: 50_000 },
        { start: 99_999 },
        { start: 90_000, end: 5_000_000 },
      ])('answers exactly the range $start-$end', async (range) => {
        expect(await read(key, range)).toEqual(
          bytes.subarray(range.start, (range.end ?? Number.MAX_SAFE_INTEGER) + 1),
        );
      });

      it.each([{ start: 100_000 }, { start: 100_000, end: 100_001 }, { start: 200_000 }])(
        'refuses the range $start-$end',
        async (range) => {
          expect(await code(store.get(key, range))).toBe('RANGE_NOT_SATISFIABLE');
        },
      );

      it('can be given up half-way', async () => {
        const large = `${prefix()}large`;
        await store.put(large, patterned(3_000_000));
        for await (const chunk of await store.get(large)) {
          expect(chunk.length).toBeGreaterThan(0);
          break;
        }
        expect((await read(large)).length).toBe(3_000_000);
      });

      it('says NOT_FOUND where there is nothing', async () => {
        const at = prefix();
        expect(await code(store.get(`${at}nothing`))).toBe('NOT_FOUND');
        await store.put(`${at}folder/a`, Buffer.from('x'));
        expect(await code(store.get(`${at}folder`))).toBe('NOT_FOUND');
        expect(await store.stat(`${at}nothing`)).toBeUndefined();
        expect(await store.stat(`${at}folder`)).toBeUndefined();
        expect(await store.stat(`${at}folder/a/b`)).toBeUndefined();
      });
    });

    describe('copy and delete', () => {
      it('a copy is the same bytes and stays when the original goes', async () => {
        const at = prefix();
        await store.put(`${at}a`, Buffer.from('bytes'));
        await store.copy(`${at}a`, `${at}deep/er/b`);
        await store.delete(`${at}a`);
        expect((await read(`${at}deep/er/b`)).toString()).toBe('bytes');
      });

      it('a copy replaces its target, and changes to one do not show in the other', async () => {
        const at = prefix();
        await store.put(`${at}a`, Buffer.from('a'));
        await store.put(`${at}b`, Buffer.from('b'));
        await store.copy(`${at}a`, `${at}b`);
        await store.copy(`${at}a`, `${at}b`);
        expect((await read(`${at}b`)).toString()).toBe('a');
        await store.put(`${at}a`, Buffer.from('changed'));
        expect((await read(`${at}b`)).toString()).toBe('a');
        expect((await store.list(at)).objects.map(({ key }) => key)).toEqual([`${at}a`, `${at}b`]);
      });

      it('a copy of the object of an etag is NOT_FOUND once another one stands there', async () => {
        const at = prefix();
        const { etag } = await store.put(`${at}a`, Buffer.from('first'));
        await store.copy(`${at}a`, `${at}b`, { etag });
        await store.put(`${at}a`, Buffer.from('other'));
        expect(await code(store.copy(`${at}a`, `${at}b`, { etag }))).toBe('NOT_FOUND');
        expect((await read(`${at}b`)).toString()).toBe('first');
      });

      it('a copy of nothing is NOT_FOUND', async () => {
        const at = prefix();
        expect(await code(store.copy(`${at}a`, `${at}b`))).toBe('NOT_FOUND');
        expect((await store.list(at)).objects).toEqual([]);
      });

      it('what is deleted is gone, and deleting it again succeeds', async () => {
        const at = prefix();
        await store.put(`${at}x/a`, Buffer.from('a'));
        await store.put(`${at}x/b`, Buffer.from('b'));
        await store.delete(`${at}x/a`);
        await store.delete(`${at}x/a`);
        await store.delete(`${at}never/was`);
        expect(await store.stat(`${at}x/a`)).toBeUndefined();
        expect((await read(`${at}x/b`)).toString()).toBe('b');
      });

      it('writers and deleters of one folder do not disturb each other', async () => {
        const at = prefix();
        await Promise.all(
          Array.from({ length: 40 }, async (_, n) => {
            const key = `${at}folder/${n % 2}/${n}`;
            await store.put(key, Buffer.from(`${n}`));
            expect((await read(key)).toString()).toBe(`${n}`);
            if (n % 4 !== 0) await store.delete(key);
          }),
        );
        expect((await store.list(at)).objects).toHaveLength(10);
      });
    });

    describe('list', () => {
      it('is in byte order, page by page', async () => {
        const at = prefix();
        const names = ['a', 'a-b', 'a.b', 'a0', 'b/a', 'b/c/d', 'b0', 'ß', '\uff5e', '\u{1F5FF}'];
        await Promise.all(names.toReversed().map((name) => store.put(at + name, Buffer.from(name))));
        for (const limit of [1, 3, names.length, 1000]) {
          const found: string[] = [];
          for (let more = true; more; ) {
            const after = found.at(-1);
            const page = await store.list(at, { limit, ...(after === undefined ? {} : { after }) });
            expect(page.objects.length).toBeLessThanOrEqual(limit);
            found.push(...page.objects.map(({ key }) => key));
            more = page.more;
          }
          expect(found).toEqual(names.map((name) => at + name));
        }
      });

      it('takes any prefix, not only folders', async () => {
        const at = prefix();
        for (const name of ['ab/c', 'ab/d', 'abc', 'b']) await store.put(at + name, Buffer.from(name));
        const found = async (beginning: string, after?: string) => {
          const page = await store.list(at + beginning, after === undefined ? {} : { after: at + after });
          return page.objects.map(({ key }) => key.slice(at.length));
        };
        expect(await found('ab')).toEqual(['ab/c', 'ab/d', 'abc']);
        expect(await found('ab/')).toEqual(['ab/c', 'ab/d']);
        expect(await found('ab/c')).toEqual(['ab/c']);
        expect(await found('x')).toEqual([]);
        expect(await found('ab/c/d')).toEqual([]);
        expect(await found('', 'ab/c')).toEqual(['ab/d', 'abc', 'b']);
        expect(await found('ab', 'ab/e')).toEqual(['abc']);
        expect(await found('ab', 'b')).toEqual([]);
        expect(await found('b', 'a')).toEqual(['b']);
      });

      it('tells size and age', async () => {
        const at = prefix();
        await store.put(`${at}a`, patterned(12));
        const { objects } = await store.list(at);
        expect(objects).toEqual([{ key: `${at}a`, size: 12, modifiedAt: expect.any(Number) }]);
        expect(Math.abs((objects[0]?.modifiedAt ?? 0) - Date.now())).toBeLessThan(24 * 60 * 60 * 1000);
      });
    });

    describe('multipart', () => {
      /** The bytes of an upload of two whole parts and a short one, and what sends one of them. */
      const begin = async () => {
        const partSize = opened.minPartSize;
        const bytes = patterned(2 * partSize + 1234);
        const key = `${prefix()}large/file`;
        const { uploadId } = await store.createMultipart(key, { size: bytes.length, partSize });
        const part = (number: number) => bytes.subarray(partSize * (number - 1), partSize * number);
        const send = async (number: number, body: Uint8Array = part(number)): Promise<Response> => {
          const url = await store.presignPart(key, uploadId, {
            number,
            size: part(number).length,
            expiresIn: 60,
          });
          return fetch(url, { method: 'PUT', body: Buffer.from(body) });
        };
        return { key, uploadId, bytes, partSize, part, send };
      };

      it('parts become one object, whatever order they come in', async () => {
        const { key, uploadId, bytes, partSize, send } = await begin();
        for (const number of [3, 1, 2]) {
          const answer = await send(number);
          expect(answer.status).toBe(200);
          expect(answer.headers.get('etag')).toMatch(/^".+"$/);
          expect(await store.stat(key)).toBeUndefined();
        }
        const parts = await store.listParts(key, uploadId);
        expect(parts.map(({ number, size }) => [number, size])).toEqual([
          [1, partSize],
          [2, partSize],
          [3, 1234],
        ]);
        const completed = await store.completeMultipart(key, uploadId, parts);
        expect(completed.size).toBe(bytes.length);
        if (completed.sha256 !== undefined) expect(completed.sha256).toBe(digest(bytes));
        expect(await store.stat(key)).toMatchObject({ size: bytes.length, etag: completed.etag });
        expect(digest(await read(key))).toBe(digest(bytes));
      });

      it('parts that come at once become one object', async () => {
        const { key, uploadId, bytes, send } = await begin();
        await Promise.all([1, 2, 3].map((number) => send(number)));
        await store.completeMultipart(key, uploadId, await store.listParts(key, uploadId));
        expect(digest(await read(key))).toBe(digest(bytes));
      });

      it("the answer's ETag is the part's", async () => {
        const { key, uploadId, send } = await begin();
        const parts: PartStat[] = [];
        for (const number of [1, 2, 3]) {
          const etag = (await send(number)).headers.get('etag')?.replaceAll('"', '') ?? '';
          parts.push({ number, etag, size: 0 });
        }
        const listed = await store.listParts(key, uploadId);
        expect(listed.map(({ etag }) => etag)).toEqual(parts.map(({ etag }) => etag));
      });

      it('a resumed upload sends only what is not listed', async () => {
        const { key, uploadId, bytes, send } = await begin();
        await send(2);
        const listed = (await store.listParts(key, uploadId)).map(({ number }) => number);
        expect(listed).toEqual([2]);
        for (const number of [1, 2, 3].filter((wanted) => !listed.includes(wanted))) await send(number);
        await store.completeMultipart(key, uploadId, await store.listParts(key, uploadId));
        expect(digest(await read(key))).toBe(digest(bytes));
      });

      it('a part that is sent again replaces the one before, hashed or not', async () => {
        const { key, uploadId, bytes, partSize, send } = await begin();
        await send(1, Buffer.alloc(partSize, 'x'));
        await send(2);
        await opened.pass(secondsBetweenResends);
        await send(1);
        await send(3);
        const completed = await store.completeMultipart(key, uploadId, await store.listParts(key, uploadId));
        if (completed.sha256 !== undefined) expect(completed.sha256).toBe(digest(bytes));
        expect(digest(await read(key))).toBe(digest(bytes));
      });

      it('names the first part that is missing, and goes on when it has come', async () => {
        const { key, uploadId, bytes, send } = await begin();
        await send(1);
        await send(3);
        const incomplete = store.completeMultipart(key, uploadId, await store.listParts(key, uploadId));
        await expect(incomplete).rejects.toMatchObject({
          code: 'PART_MISSING',
          message: expect.stringMatching(/part 2/),
        });
        expect(await store.stat(key)).toBeUndefined();
        await send(2);
        await store.completeMultipart(key, uploadId, await store.listParts(key, uploadId));
        expect(digest(await read(key))).toBe(digest(bytes));
      });

      it('replaces an object of that key only when it is complete', async () => {
        const { key, uploadId, bytes, send } = await begin();
        await store.put(key, Buffer.from('old'));
        await Promise.all([1, 2, 3].map((number) => send(number)));
        expect((await read(key)).toString()).toBe('old');
        await store.completeMultipart(key, uploadId, await store.listParts(key, uploadId));
        expect((await store.stat(key))?.size).toBe(bytes.length);
      });

      it('two uploads to one key do not mix', async () => {
        const first = await begin();
        const { uploadId } = await store.createMultipart(first.key, {
          size: 3,
          partSize: opened.minPartSize,
        });
        const url = await store.presignPart(first.key, uploadId, { number: 1, size: 3, expiresIn: 60 });
        await fetch(url, { method: 'PUT', body: 'abc' });
        await first.send(1);
        expect(await store.listParts(first.key, first.uploadId)).toHaveLength(1);
        await store.completeMultipart(first.key, uploadId, await store.listParts(first.key, uploadId));
        expect((await read(first.key)).toString()).toBe('abc');
        await store.abortMultipart(first.key, first.uploadId);
      });

      describe('whose sizes nobody knows', () => {
        const beginOpen = async (count: number) => {
          const partSize = opened.minPartSize;
          const bytes = patterned((count - 1) * partSize + 1234);
          const key = `${prefix()}open/file`;
          const { uploadId } = await store.createMultipart(key, { parts: count });
          const part = (number: number) => bytes.subarray(partSize * (number - 1), partSize * number);
          const send = async (number: number, body: Uint8Array = part(number)): Promise<Response> => {
            const url = await store.presignPart(key, uploadId, { number, expiresIn: 60 });
            return fetch(url, { method: 'PUT', body: Buffer.from(body) });
          };
          const complete = async () =>
            store.completeMultipart(key, uploadId, await store.listParts(key, uploadId));
          return { key, uploadId, bytes, partSize, part, send, complete };
        };

        it.each([
          [1, [1]],
          [3, [3, 1, 2]],
          [3, [2, 3, 1]],
        ])('%d parts become one object, whatever order they come in', async (count, order) => {
          const { key, uploadId, bytes, partSize, send, complete } = await beginOpen(count);
          const etags = new Map<number, string>();
          for (const number of order) {
            const answer = await send(number);
            expect(answer.status).toBe(200);
            etags.set(number, answer.headers.get('etag')?.replaceAll('"', '') ?? '');
          }
          expect(await store.stat(key)).toBeUndefined();
          const listed = await store.listParts(key, uploadId);
          expect(listed).toEqual(
            Array.from({ length: count }, (_, index) => ({
              number: index + 1,
              size: index + 1 === count ? 1234 : partSize,
              etag: etags.get(index + 1),
            })),
          );
          const completed = await complete();
          expect(completed.size).toBe(bytes.length);
          if (completed.sha256 !== undefined) expect(completed.sha256).toBe(digest(bytes));
          expect(await store.stat(key)).toMatchObject({ size: bytes.length, etag: completed.etag });
          expect(digest(await read(key))).toBe(digest(bytes));
        });

        it('parts that come at once become one object', async () => {
          const { key, bytes, send, complete } = await beginOpen(4);
          await Promise.all([1, 2, 3, 4].map((number) => send(number)));
          await complete();
          expect(digest(await read(key))).toBe(digest(bytes));
        });

        it('a last part that is sent again and is shorter replaces the one before', async () => {
          const { key, bytes, partSize, send, complete } = await beginOpen(2);
          await send(2, patterned(partSize));
          await send(1);
          await opened.pass(secondsBetweenResends);
          await send(2);
          const completed = await complete();
          expect(completed.size).toBe(bytes.length);
          if (completed.sha256 !== undefined) expect(completed.sha256).toBe(digest(bytes));
          expect(digest(await read(key))).toBe(digest(bytes));
        });

        it('an only part that is sent again and is shorter replaces the one before', async () => {
          const { key, bytes, send, complete } = await beginOpen(1);
          await send(1, patterned(5000));
          await opened.pass(secondsBetweenResends);
          await send(1);
          expect((await complete()).size).toBe(bytes.length);
          expect(digest(await read(key))).toBe(digest(bytes));
        });

        it('names the first part that is missing, and goes on when it has come', async () => {
          const { key, bytes, send, complete } = await beginOpen(3);
          await send(1);
          await send(3);
          await expect(complete()).rejects.toMatchObject({
            code: 'PART_MISSING',
            message: expect.stringMatching(/part 2/),
          });
          expect(await store.stat(key)).toBeUndefined();
          await send(2);
          await complete();
          expect(digest(await read(key))).toBe(digest(bytes));
        });

        it('parts that are not those that were sent are missing', async () => {
          const { key, uploadId, send, complete } = await beginOpen(2);
          await send(1);
          await send(2);
          const listed = await store.listParts(key, uploadId);
          const other = listed.map((part) => ({ ...part, etag: '0'.repeat(32) }));
          expect(await code(store.completeMultipart(key, uploadId, other))).toBe('PART_MISSING');
          await complete();
        });

        it('an aborted one is unknown and left nothing', async () => {
          const { key, uploadId, send } = await beginOpen(2);
          await send(1);
          await store.abortMultipart(key, uploadId);
          expect(await code(store.listParts(key, uploadId))).toBe('NOT_FOUND');
          expect((await send(2)).status).toBe(404);
          expect(await store.stat(key)).toBeUndefined();
        });
      });

      it('an aborted upload is unknown and left nothing', async () => {
        const { key, uploadId, send } = await begin();
        await send(1);
        await store.abortMultipart(key, uploadId);
        expect(await code(store.listParts(key, uploadId))).toBe('NOT_FOUND');
        expect(await code(store.completeMultipart(key, uploadId, []))).toBe('NOT_FOUND');
        // The smallest: a server may hang up on a large one before it was read.
        expect((await send(3)).status).toBe(404);
        expect(await store.stat(key)).toBeUndefined();
      });

      it('an upload that never was is unknown', async () => {
        const key = `${prefix()}a`;
        for (const uploadId of ['nothing', '../../objects', '0'.repeat(32)]) {
          expect(await code(store.listParts(key, uploadId))).toBe('NOT_FOUND');
        }
      });
    });

    describe('signed URLs', () => {
      it('to get: the whole, a range, the head', async () => {
        const key = `${prefix()}a`;
        const bytes = patterned(50_000);
        const { etag } = await store.put(key, bytes);
        const url = await store.presignGet(key, { expiresIn: 60 });
        const whole = await fetch(url);
        expect(whole.status).toBe(200);
        expect(whole.headers.get('etag')).toBe(`"${etag}"`);
        expect(whole.headers.get('accept-ranges')).toBe('bytes');
        expect(Buffer.from(await whole.arrayBuffer())).toEqual(bytes);
        for (const [range, start, end] of [
          ['bytes=0-0', 0, 1],
          ['bytes=100-199', 100, 200],
          ['bytes=49999-', 49_999, 50_000],
          ['bytes=-1', 49_999, 50_000],
          ['bytes=40000-999999', 40_000, 50_000],
        ] as const) {
          const part = await fetch(url, { headers: { range } });
          expect(part.status).toBe(206);
          expect(part.headers.get('content-range')).toBe(`bytes ${start}-${end - 1}/50000`);
          expect(Buffer.from(await part.arrayBuffer())).toEqual(bytes.subarray(start, end));
        }
        const outside = await fetch(url, { headers: { range: 'bytes=50000-' } });
        expect(outside.status).toBe(416);
        await outside.arrayBuffer();
      });

      it('to get: know what has not changed', async () => {
        const key = `${prefix()}a`;
        await store.put(key, Buffer.from('abc'));
        const url = await store.presignGet(key, { expiresIn: 60 });
        const etag = (await fetch(url)).headers.get('etag') ?? '';
        expect((await fetch(url, { headers: { 'if-none-match': etag } })).status).toBe(304);
        expect((await fetch(url, { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
      });

      it('to get: carry the name and type of the file', async () => {
        const key = `${prefix()}a`;
        await store.put(key, Buffer.from('{}'));
        const filename = 'Größe "1" (50%), 🗿.json';
        const url = await store.presignGet(key, { expiresIn: 60, filename, contentType: 'application/json' });
        const answer = await fetch(url);
        expect(answer.headers.get('content-type')).toBe('application/json');
        const encoded = /filename\*=UTF-8''(\S+)/.exec(answer.headers.get('content-disposition') ?? '')?.[1];
        expect(decodeURIComponent(encoded ?? '')).toBe(filename);
      });

      it.each(keyParts)('work for the key part %j', async (part) => {
        const key = `${prefix()}${part}/${part}`;
        const put = await fetch(await store.presignPut(key, { expiresIn: 60, size: 3 }), {
          method: 'PUT',
          body: 'abc',
        });
        expect(put.status).toBe(200);
        expect((await read(key)).toString()).toBe('abc');
        const got = await fetch(await store.presignGet(key, { expiresIn: 60 }));
        expect(await got.text()).toBe('abc');
      });

      it('to put: take that object, once or again', async () => {
        const key = `${prefix()}a`;
        const url = await store.presignPut(key, { expiresIn: 60, size: 5 });
        const answer = await fetch(url, { method: 'PUT', body: 'first' });
        expect(answer.status).toBe(200);
        expect(answer.headers.get('etag')).toBe(`"${(await store.stat(key))?.etag}"`);
        await fetch(url, { method: 'PUT', body: 'again' });
        expect((await read(key)).toString()).toBe('again');
      });

      it('to put: refuse another size', async () => {
        const key = `${prefix()}a`;
        const url = await store.presignPut(key, { expiresIn: 60, size: 5 });
        for (const body of ['four', 'sixsix', '']) {
          const { status } = await fetch(url, { method: 'PUT', body });
          expect(status).toBeGreaterThanOrEqual(400);
          expect(status).toBeLessThan(500);
        }
        expect(await store.stat(key)).toBeUndefined();
      });

      it('say 404 where there is nothing', async () => {
        const url = await store.presignGet(`${prefix()}nothing`, { expiresIn: 60 });
        expect((await fetch(url)).status).toBe(404);
      });

      it('end with their time', async () => {
        const key = `${prefix()}a`;
        await store.put(key, Buffer.from('abc'));
        const get = await store.presignGet(key, { expiresIn: 1 });
        const put = await store.presignPut(key, { expiresIn: 1, size: 3 });
        const later = await store.presignGet(key, { expiresIn: 3600 });
        await opened.pass(2);
        expect((await fetch(get)).status).toBe(403);
        expect((await fetch(put, { method: 'PUT', body: 'new' })).status).toBe(403);
        expect((await fetch(later)).status).toBe(200);
        expect((await read(key)).toString()).toBe('abc');
      });

      it('permit what was signed and nothing else', async () => {
        const at = prefix();
        await store.put(`${at}a`, Buffer.from('abc'));
        await store.put(`${at}b`, Buffer.from('secret'));
        const get = await store.presignGet(`${at}a`, { expiresIn: 60 });
        const put = await store.presignPut(`${at}a`, { expiresIn: 60, size: 3 });
        const changed = (url: string, change: (url: URL) => void) => {
          const copy = new URL(url);
          change(copy);
          return copy;
        };
        const otherKey = (url: URL) => {
          url.pathname = url.pathname.replace(/a$/, 'b');
        };
        const lastHalf = (url: URL) => {
          url.search = url.search.slice(0, -8);
        };
        const unsigned = (url: URL) => {
          url.search = '';
        };
        expect((await fetch(changed(get, otherKey))).status).toBe(403);
        expect((await fetch(changed(get, lastHalf))).status).toBeGreaterThanOrEqual(400);
        expect((await fetch(changed(get, unsigned))).status).toBeGreaterThanOrEqual(400);
        expect((await fetch(changed(put, otherKey), { method: 'PUT', body: 'new' })).status).toBe(403);
        expect((await fetch(get, { method: 'PUT', body: 'new' })).status).toBeGreaterThanOrEqual(400);
        expect((await fetch(put)).status).toBeGreaterThanOrEqual(400);
        expect((await read(`${at}a`)).toString()).toBe('abc');
        expect((await read(`${at}b`)).toString()).toBe('secret');
      });
    });
  });
}

/** Parts of keys that an address has to escape. */
export const KEYS = [
  'with space',
  'a+b',
  '100%',
  '%2F',
  'a?b#c',
  'a&b=c',
  "it's (a) *!~",
  'Größe',
  'e\u0301',
  '🗿',
  'a\\b',
  '...',
];

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Bytes that differ from place to place, so that a wrong range shows. */
function patterned(size: number): Buffer {
  const words = new Uint32Array(Math.ceil(size / 4));
  for (let n = 0; n < words.length; n++) words[n] = Math.imul(n + 1, 0x9e3779b1);
  return Buffer.from(words.buffer, 0, size);
}

async function* chunked(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, n = 0; at < bytes.length; n++) {
    const size = sizes[n % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

/** A prefix that nobody else has. */
const prefix = (): string => `contract/${crypto.randomUUID()}/`;
