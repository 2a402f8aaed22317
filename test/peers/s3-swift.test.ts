import { expect, test } from 'vitest';
import { probeS3 } from '../../shared/adapters/aws/s3-probe.ts';
import { s3Contract } from './s3-contract.ts';
import { startSwift } from './s3-swift.ts';

test('start-up finds out what Swift does differently', async () => {
  await using swift = await startSwift();
  expect(await probeS3(swift)).toEqual({
    checksums: 'when-required',
    conditionalPuts: true,
    conditionalCompletions: true,
    partCopies: true,
    copyIfMatch: false,
  });
});

test('a Swift that copies the list of an object’s parts is refused', async () => {
  await using swift = await startSwift('slo copy dlo');
  await expect(probeS3(swift)).rejects.toThrow(
    /^Cairn needs a store that copies an object that was uploaded in parts: the length of the copy gave \d{3} instead of 5/,
  );
});

// It keeps the condition of a write against what was there before, not against another write at the same time.
s3Contract('Swift', startSwift, { looksBeforeWriting: true });
