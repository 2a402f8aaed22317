import { expect, test } from 'vitest';
import { probeS3 } from '../../shared/adapters/aws/s3-probe.ts';
import { startS3proxy } from './s3proxy.ts';

test('S3Proxy before a folder is refused: it answers a completed upload with an ETag that the object does not have', async () => {
  await using store = await startS3proxy();
  await expect(probeS3(store)).rejects.toThrow(
    /^Cairn needs a store that takes uploads in parts, lists them and gives them up: its ETag gave [0-9a-f]{32} instead of [0-9a-f]{32}-1/,
  );
});
