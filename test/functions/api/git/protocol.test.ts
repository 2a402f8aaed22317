import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lsRefs } from '../../../../functions/api/git/advertisement.ts';
import { parseFetchV0, parseFetchV2 } from '../../../../functions/api/git/fetch-request.ts';
import { PktReader, pkt } from '../../../../functions/api/git/pkt-line.ts';
import { parsePush } from '../../../../functions/api/git/receive-pack.ts';
import { data } from '../../../../functions/api/git/side-band.ts';
import { CairnError } from '../../../../shared/errors.ts';

/** What a reader of any bytes may do: understand them, or say that it does not. */
function understands(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(CairnError);
  }
}

const oid = 'a'.repeat(40);
const word = fc.constantFrom(
  'want',
  'have',
  'shallow',
  'deepen',
  'deepen-since',
  'deepen-not',
  'filter',
  'done',
  oid,
  'blob:none',
  '0',
  '12',
  '\0',
  ' ',
  'refs/heads/main',
);
const line = fc.oneof(
  fc.array(word, { maxLength: 4 }).map((words) => pkt(`${words.join(' ')}\n`)),
  fc.constantFrom(
    Buffer.from('0000'),
    Buffer.from('0001'),
    Buffer.from('0002'),
    Buffer.from('0003'),
    Buffer.from('fff'),
  ),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
);
const body = fc.array(line, { maxLength: 12 }).map((lines) => Buffer.concat(lines));

describe('Git’s protocol', () => {
  test('lines are read as they were written, and marks between them', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 65_516 }), { maxLength: 5 }), (lines) => {
        const reader = new PktReader(
          Buffer.concat([...lines.map((one) => pkt(one)), Buffer.from('0000rest')]),
        );
        for (const one of lines) expect(Buffer.compare(reader.next() as Buffer, one)).toBe(0);
        expect([reader.next(), reader.rest.toString()]).toEqual(['flush', 'rest']);
      }),
    );
  });

  test('whatever is sent, a request is understood or refused with an error of the table', () => {
    fc.assert(
      fc.property(body, (bytes) => {
        understands(() => parseFetchV0(bytes, []));
        understands(() => parsePush(bytes));
        understands(() => {
          const reader = new PktReader(bytes);
          const lines: string[] = [];
          for (let one = reader.text(); one !== undefined; one = reader.text()) lines.push(one);
          parseFetchV2(lines, []);
        });
      }),
      { numRuns: 5000 },
    );
  });

  test('data on a band comes out as it went in, in lines that are as long as they may be', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 5000 }), { maxLength: 30 }), async (pieces) => {
        async function* all() {
          yield* pieces;
        }
        const lines = await Array.fromAsync(data(all(), 995));
        const read = lines.map((bytes) => new PktReader(bytes).next() as Buffer);
        for (const one of read.slice(0, -1)) expect(one.length).toBe(996);
        expect(Buffer.concat(read.map((one) => one.subarray(1))).equals(Buffer.concat(pieces))).toBe(true);
      }),
    );
  });

  test('ls-refs answers prefixes, peeled tags, and a HEAD that is not born', () => {
    const refs = [
      { name: 'refs/heads/main', oid },
      { name: 'refs/tags/r', oid: 'b'.repeat(40), peeled: oid },
    ];
    const text = (lines: readonly string[], from = refs) => lsRefs(from, lines).toString();
    expect(text(['peel', 'symrefs'])).toContain(`peeled:${oid}`);
    expect(text(['symrefs'])).toContain('HEAD symref-target:refs/heads/main');
    expect(text(['ref-prefix refs/tags/'])).not.toContain('refs/heads');
    expect(text(['symrefs', 'unborn'], [])).toContain('unborn HEAD symref-target:refs/heads/main');
    expect(text([], [])).toBe('0000');
  });
});
