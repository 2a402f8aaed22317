import type { RemovalPolicy } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';

/** The first admin token, made by Secrets Manager so that nobody has to choose one. */
export class AdminToken extends Construct {
  readonly secret: Secret;

  constructor(
    scope: Construct,
    id: string,
    { key, removalPolicy }: { key: IKey; removalPolicy: RemovalPolicy },
  ) {
    super(scope, id);
    this.secret = new Secret(this, 'Secret', {
      description: 'Cairn: the first admin token',
      encryptionKey: key,
      removalPolicy,
      generateSecretString: { passwordLength: 48, excludePunctuation: true },
    });
    acknowledge(this.secret, {
      'AwsSolutions-SMG4':
        'It is read once, to make the first admin, whose token is revoked like any other; a rotated secret would only differ from the token that counts.',
    });
  }
}
