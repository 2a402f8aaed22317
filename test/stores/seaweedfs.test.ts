import { KEYS } from '../contract/blob-store.ts';
import { s3Contract } from '../peers/s3-contract.ts';
import { wholeCairnContract } from '../peers/s3-whole-cairn.ts';
import { startSeaweedfs } from './seaweedfs.ts';

s3Contract('SeaweedFS', startSeaweedfs, {
  // It takes a backslash for a slash.
  keyParts: KEYS.filter((part) => !part.includes('\\')),
  // It lists both parts, with times in whole seconds.
  secondsBetweenResends: 1.1,
});
wholeCairnContract('SeaweedFS', startSeaweedfs);
