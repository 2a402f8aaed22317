import { Reference, Stack, Tokenization } from 'aws-cdk-lib';
import type { Role } from 'aws-cdk-lib/aws-iam';
import { acknowledge } from '../constructs/acknowledge.ts';
import type { Permission } from './allow.ts';

/** Gives the role these permissions, and says of each resource with a `*` why. @throws Error for one without a reason */
export function grant(role: Role, permissions: readonly Permission[]): void {
  for (const { statement, wildcard } of permissions) {
    role.addToPolicy(statement);
    for (const resource of statement.resources.filter((one) => one.includes('*'))) {
      if (wildcard === undefined) throw new Error(`${statement.sid}: no reason for the * in ${resource}`);
      acknowledge(role, { [`AwsSolutions-IAM5[Resource::${flat(Stack.of(role), resource)}]`]: wildcard });
    }
  }
}

/** A resource as cdk-nag writes it in a finding: `<Bucket.Arn>/workspaces/*`; of another stack, by its export's name. */
function flat(stack: Stack, resource: string): string {
  let shown = resource;
  for (const token of Tokenization.reverseString(resource).tokens) {
    if (!Reference.isReference(token)) continue;
    const owner = Stack.of(token.target);
    if (owner !== stack) shown = shown.replace(token.toString(), owner.exportValue(token));
  }
  return written(stack.resolve(shown));
}

type Resolved =
  | string
  | { 'Fn::Join': [string, Resolved[]] }
  | { 'Fn::GetAtt': [string, string] }
  | { 'Fn::ImportValue': string }
  | { Ref: string };

function written(value: Resolved): string {
  if (typeof value === 'string') return value;
  if ('Fn::Join' in value) return value['Fn::Join'][1].map(written).join(value['Fn::Join'][0]);
  if ('Fn::GetAtt' in value) return `<${value['Fn::GetAtt'].join('.')}>`;
  if ('Fn::ImportValue' in value) return value['Fn::ImportValue'];
  return `<${value.Ref}>`;
}
