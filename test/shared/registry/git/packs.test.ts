import { createHash } from 'node:crypto';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CairnError } from '../../../../shared/errors.ts';
import { applyDelta } from '../../../../shared/registry/git/delta.ts';
import { checkModules, checkObject } from '../../../../shared/registry/git/fsck.ts';
import { indexPack, type PackLimits } from '../../../../shared/registry/git/index-pack.ts';
import { type GitObject, gitObject, type ObjectType } from '../../../../shared/registry/git/object.ts';
import { objectDatabase } from '../../../../shared/registry/git/object-database.ts';
import { packHeader, writePack } from '../../../../shared/registry/git/pack.ts';
import { entryHeader, wholeEntry } from '../../../../shared/registry/git/pack-entry.ts';
import { decodePackIndex, encodePackIndex } from '../../../../shared/registry/git/pack-index.ts';

const LIMITS: PackLimits = { objects: 1000, objectBytes: 1_000_000, totalBytes: 10_000_000 };
const nothing = async () => undefined;

/** A delta that makes `target` of `base`: one copy of what both begin with, the rest inserted. */
function delta(base: Uint8Array, target: Uint8Array): Uint8Array {
  const sizes = [base.length, target.length].flatMap((size) => {
    const bytes: number[] = [];
    let rest = size;
    for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest & 127) | 128);
    return [...bytes, rest];
  });
  let same = 0;
  while (same < Math.min(base.length, target.length, 255) && base[same] === target[same]) same++;
  const copy = same > 0 ? [0x90, same] : [];
  const inserted: number[] = [];
  for (let at = same; at < target.length; at += 127) {
    const part = target.subarray(at, at + 127);
    inserted.push(part.length, ...part);
  }
  return Uint8Array.from([...sizes, ...copy, ...inserted]);
}

const refDelta = (base: string, bytes: Uint8Array) =>
  Buffer.concat([entryHeader('ref-delta', bytes.length), Buffer.from(base, 'hex'), deflateSync(bytes)]);

function packOf(entries: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat([packHeader(entries.length), ...entries]);
  return Buffer.concat([body, createHash('sha1').update(body).digest()]);
}

const content = fc.uint8Array({ maxLength: 400 });
const object = fc
  .tuple(fc.constantFrom<ObjectType>('blob', 'commit', 'tree', 'tag'), content)
  .map(([type, bytes]) => gitObject(type, bytes));

/** Reads a pack back through the database, as the repository does. */
async function unpack(bytes: Uint8Array, outside: readonly GitObject[] = []): Promise<GitObject[]> {
  const found: GitObject[] = [];
  const pack = await indexPack(
    bytes,
    async (oid) => outside.find((one) => one.oid === oid),
    (one) => {
      found.push(one);
      return undefined;
    },
    LIMITS,
  );
  const index = decodePackIndex(Buffer.from(encodePackIndex(pack.objects)));
  const database = objectDatabase(
    (oid) => oid,
    [
      {
        has: (oid) => index.find(oid) !== undefined,
        entry: (oid) => {
          const place = index.find(oid);
          return place && pack.bytes.subarray(place.offset, place.offset + place.length);
        },
      },
    ],
  );
  expect(index.size).toBe(found.length);
  for (const one of found) {
    const read = await database.read(one.oid);
    expect(Buffer.from(read?.content ?? []).equals(one.content)).toBe(true);
    expect([await database.typeOf(one.oid), await database.sizeOf(one.oid)]).toEqual([
      one.type,
      one.content.length,
    ]);
  }
  return found;
}

describe('packs', () => {
  test('what is packed is unpacked, whatever it is', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(object, { selector: ({ oid }) => oid }), async (objects) => {
        const found = await unpack(writePack(objects).bytes);
        expect(found.map(({ oid }) => oid)).toEqual(objects.map(({ oid }) => oid));
      }),
    );
  });

  test('chains of deltas are resolved, forwards, backwards and against objects outside, and kept without them', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(content, { minLength: 2, maxLength: 80, selector: String }),
        fc.boolean(),
        fc.boolean(),
        async (contents, reverse, thin) => {
          const objects = contents.map((bytes) => gitObject('blob', bytes));
          const entries = objects.map((one, index) => {
            const base = objects[index - 1];
            return base ? refDelta(base.oid, delta(base.content, one.content)) : wholeEntry(one);
          });
          const sent = thin ? entries.slice(1) : entries;
          const found = await unpack(
            packOf(reverse ? sent.toReversed() : sent),
            thin ? objects.slice(0, 1) : [],
          );
          expect(found.map(({ oid }) => oid).sort()).toEqual(
            objects
              .slice(thin ? 1 : 0)
              .map(({ oid }) => oid)
              .sort(),
          );
        },
      ),
      { numRuns: 50 },
    );
  });

  test('objects that come twice are refused, so that none is based on itself or has two contents', async () => {
    const [a, b] = [
      gitObject('blob', Buffer.from('one and two')),
      gitObject('blob', Buffer.from('one and three')),
    ];
    const twice = packOf([
      refDelta(b.oid, delta(b.content, a.content)),
      refDelta(a.oid, delta(a.content, b.content)),
      wholeEntry(a),
      wholeEntry(b),
    ]);
    await expect(unpack(twice)).rejects.toThrow(/twice/);
  });

  test('a damaged pack is refused with an error of the table, and never more is inflated than the limits allow', async () => {
    const good = writePack([
      gitObject('blob', Buffer.from('hello')),
      gitObject('tree', Buffer.alloc(0)),
    ]).bytes;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        fc.nat(good.length),
        fc.boolean(),
        async (changes, cut, sum) => {
          let bytes = Buffer.from(good);
          for (const [at, value] of changes) bytes[at] = value;
          bytes = bytes.subarray(0, Math.max(cut, good.length - 3));
          if (sum) {
            const body = bytes.subarray(0, -20);
            bytes = Buffer.concat([body, createHash('sha1').update(body).digest()]);
          }
          try {
            await indexPack(bytes, nothing, () => undefined, LIMITS);
          } catch (error) {
            expect(error).toBeInstanceOf(CairnError);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('bombs are refused: a large object, a delta that grows, many objects, much in all', async () => {
    const refused = (bytes: Uint8Array, limits: Partial<PackLimits> = {}) =>
      expect(indexPack(bytes, nothing, () => undefined, { ...LIMITS, ...limits })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    const large = gitObject('blob', Buffer.alloc(2_000_000));
    await refused(writePack([large]).bytes);
    const small = gitObject('blob', Buffer.from('x'));
    const growing = Uint8Array.from([1, 0x80, 0x80, 0x80, 0x08, ...Array(100).fill([0x90, 1]).flat()]);
    await refused(packOf([wholeEntry(small), refDelta(small.oid, growing)]));
    await refused(writePack([small, gitObject('blob', Buffer.from('y'))]).bytes, { objects: 1 });
    await refused(
      writePack([gitObject('blob', Buffer.alloc(900)), gitObject('blob', Buffer.alloc(901))]).bytes,
      { totalBytes: 1000 },
    );
    // Says 10 bytes and has a million.
    await refused(packOf([Buffer.concat([entryHeader('blob', 10), deflateSync(Buffer.alloc(1_000_000))])]));
  });

  test('a delta never reads outside its base nor writes outside its result', () => {
    fc.assert(
      fc.property(content, fc.uint8Array({ maxLength: 60 }), (base, bytes) => {
        try {
          expect(applyDelta(base, bytes, 100_000).length).toBeLessThanOrEqual(100_000);
        } catch (error) {
          expect(error).toBeInstanceOf(CairnError);
        }
      }),
      { numRuns: 5000 },
    );
  });
});

describe('fsck', () => {
  const tree = (...entries: [mode: string, name: string | Buffer][]) =>
    gitObject(
      'tree',
      Buffer.concat(
        entries.flatMap(([mode, name]) => [
          Buffer.from(`${mode} `),
          Buffer.from(name),
          Buffer.from([0]),
          Buffer.alloc(20, 1),
        ]),
      ),
    );
  const problem = (one: GitObject) => {
    try {
      checkObject(one);
      return undefined;
    } catch (error) {
      return (error as CairnError).detail;
    }
  };

  test.each([
    ['.git', 'hasDotgit'],
    ['.GIT', 'hasDotgit'],
    ['git~1', 'hasDotgit'],
    ['.git. ', 'hasDotgit'],
    ['.git::$INDEX_ALLOCATION', 'hasDotgit'],
    ['.g\u200cit', 'hasDotgit'],
    ['a\\.git', 'hasDotgit'],
    ['.', 'hasDot'],
    ['..', 'hasDotdot'],
    ['a/b', 'fullPathname'],
    ['', 'emptyName'],
  ])('a tree with an entry called %j is refused: %s', (name, id) => {
    expect(problem(tree(['100644', name]))).toContain(id);
  });

  test.each([
    [tree(['100644', 'b'], ['100644', 'a']), 'treeNotSorted'],
    [tree(['100644', 'a'], ['100644', 'a']), 'duplicateEntries'],
    [tree(['100644', 'a'], ['100644', 'a.b'], ['40000', 'a']), 'duplicateEntries'],
    [tree(['100664', 'a']), 'badFilemode'],
    [tree(['040000', 'a']), 'zeroPaddedFilemode'],
    [tree(['120000', '.gitmodules']), 'gitmodulesSymlink'],
    [gitObject('tree', Buffer.from('100644 a')), 'cannot be read'],
  ])('a tree out of order is refused %#', (one, id) => {
    expect(problem(one)).toContain(id);
  });

  test('good trees pass: names of any bytes, folders sorted as Git does, submodules and links', () => {
    expect(
      problem(
        tree(
          ['100755', '.gitignore'],
          ['120000', 'a'],
          ['100644', 'foo.bar'],
          ['40000', 'foo'],
          ['160000', 'sub'],
          ['100644', Buffer.from([0xff, 0xfe])],
        ),
      ),
    ).toBeUndefined();
  });

  const oid = 'a'.repeat(40);
  const commit = (text: string) => gitObject('commit', Buffer.from(text));
  const who = 'Ada <ada@example.org> 1 +0000';
  test.each([
    [`tree ${oid}\nauthor ${who}\ncommitter ${who}\n\nm`, undefined],
    [
      `tree ${oid}\nparent ${oid}\nparent ${oid}\nauthor ${who}\ncommitter ${who}\ngpgsig x\n y\n\nm`,
      undefined,
    ],
    [`tree ${oid}\nauthor Ada ada@example.org 1 +0000\ncommitter ${who}\n\nm`, 'missingEmail'],
    [`tree ${oid}\nauthor Ada<ada@example.org> 1 +0000\ncommitter ${who}\n\nm`, 'missingSpaceBeforeEmail'],
    [`tree ${oid}\nauthor Ada <a> 01 +0000\ncommitter ${who}\n\nm`, 'zeroPaddedDate'],
    [`tree ${oid}\nauthor Ada <a> 1 +00\ncommitter ${who}\n\nm`, 'badTimezone'],
    [`tree ${oid}\nauthor ${who}\nauthor ${who}\ncommitter ${who}\n\nm`, 'multipleAuthors'],
    [`tree ${oid}\nauthor ${who}\n\nm`, 'missingCommitter'],
    [`tree ${oid.slice(1)}\nauthor ${who}\ncommitter ${who}\n\nm`, 'badTreeSha1'],
    [`tree ${oid}\nparent x\nauthor ${who}\ncommitter ${who}\n\nm`, 'badParentSha1'],
    [`tree ${oid}\nauthor ${who}\ncommitter A\0 <a> 1 +0000\n\nm`, 'nulInHeader'],
    ['', 'unterminatedHeader'],
  ])('a commit is refused as git fsck would %#', (text, id) => {
    if (id === undefined) expect(problem(commit(text))).toBeUndefined();
    else expect(problem(commit(text))).toContain(id);
  });

  test('a .gitmodules that could make a client run something is refused', () => {
    const check = (text: string) => () => checkModules('a', Buffer.from(text));
    expect(check('[submodule "a/b"]\n\tpath = a/b\n\turl = https://example.org/x\n')).not.toThrow();
    expect(check('[submodule "../x"]\n')).toThrow('gitmodulesName');
    expect(check('[submodule "x"]\n\turl = --upload-pack=touch\n')).toThrow('gitmodulesUrl');
    expect(check('[submodule "x"]\n\tpath = "-x"\n')).toThrow('gitmodulesUrl');
    expect(checkObject(tree(['100644', '.gitmodules']))[0]).toMatchObject({ modules: true });
  });

  test('whatever the bytes are, a check ends with a verdict', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<ObjectType>('commit', 'tree', 'tag'),
        fc.uint8Array({ maxLength: 200 }),
        (type, bytes) => {
          try {
            checkObject(gitObject(type, bytes));
          } catch (error) {
            expect(error).toBeInstanceOf(CairnError);
          }
        },
      ),
      { numRuns: 5000 },
    );
  });
});
