import { KMSClient } from '@aws-sdk/client-kms';
import { type KmsKeyServiceOptions, openKmsKeyService } from '../../shared/adapters/aws/kms-key-service.ts';

export const openKeys = (of: Omit<KmsKeyServiceOptions, 'client'>) =>
  openKmsKeyService({ client: new KMSClient({}), ...of });
