import { expect, test } from 'vitest';
import { probeS3 } from '../../shared/adapters/aws/s3-probe.ts';
import { s3Contract } from '../peers/s3-contract.ts';
import { wholeCairnContract } from '../peers/s3-whole-cairn.ts';
import { startCeph } from './ceph.ts';

test('start-up finds out what Ceph 16 does differently', async () => {
  await using ceph = await startCeph();
  expect(await probeS3(ceph)).toEqual({
    checksums: 'when-required',
    conditionalPuts: true,
    conditionalCompletions: false,
    partCopies: false,
    copyIfMatch: true,
  });
});
s3Contract('Ceph', startCeph);
wholeCairnContract('Ceph', startCeph);
