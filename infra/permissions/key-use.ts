import { Aws } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { allow, type Permission } from './allow.ts';

/** Use of the data key by a service on the caller's behalf, never directly. */
export const keyThrough = (
  service: 'dynamodb' | 's3' | 'sns' | 'secretsmanager',
  key: IKey,
  actions: readonly ('kms:Decrypt' | 'kms:GenerateDataKey')[],
): Permission =>
  allow(`KeyThrough${service[0]?.toUpperCase()}${service.slice(1)}`, actions, [key.keyArn], {
    conditions: { StringEquals: { 'kms:ViaService': `${service}.${Aws.REGION}.${Aws.URL_SUFFIX}` } },
  });

/** The token by which a revision's replicas ask for their files: those who start them sign it, the door verifies. */
export const signRevisions = (signing: IKey): Permission =>
  allow('SignRevisions', ['kms:Sign'], [signing.keyArn]);
export const verifyRevisions = (signing: IKey): Permission =>
  allow('VerifyRevisions', ['kms:Verify'], [signing.keyArn]);

/** Opens what was sealed under a data key, such as a webhook's secret. */
export const openDataKeys = (data: IKey): Permission => allow('OpenDataKeys', ['kms:Decrypt'], [data.keyArn]);

/** The `KeyService` port: signatures of checkpoints, and data keys. */
export const useKeys = ({ data, signing }: { data: IKey; signing: IKey }): Permission[] => [
  allow('SignAndVerify', ['kms:Sign', 'kms:Verify'], [signing.keyArn]),
  allow('DataKeys', ['kms:GenerateDataKey', 'kms:Decrypt'], [data.keyArn]),
];
