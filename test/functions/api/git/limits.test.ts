import { expect, test } from 'vitest';
import { pkt } from '../../../../functions/api/git/pkt-line.ts';
import { parsePush } from '../../../../functions/api/git/receive-pack.ts';
import { ZERO_OID } from '../../../../shared/registry/git/object.ts';
import { parseFilter } from '../../../../shared/registry/git/object-filter.ts';

test('a ref’s name that would not fit in the answer is refused', () => {
  const command = pkt(`${ZERO_OID} ${'1'.repeat(40)} refs/heads/${'x'.repeat(65_300)}`);
  expect(() => parsePush(command)).toThrow(/no command/);
});

test.each(['combine:%zz', 'combine:'.repeat(8000)])('a combined filter is refused that is none', (spec) => {
  expect(() => parseFilter(spec)).toThrow(
    expect.objectContaining({ code: expect.stringMatching(/^(INVALID|NOT_SUP)/) }),
  );
});
