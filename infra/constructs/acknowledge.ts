import { CfnResource, Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/** What a rule of cdk-nag (`AwsSolutions-…`), checkov (`CKV…`) or cfn-lint (`W…`, `E…`) says of a resource, and why it stays so. */
export type Findings = Readonly<Record<string, string>>;

/**
 * Acknowledges findings of the template's checkers at the construct that they are about. A finding of checkov or cfn-lint
 * goes to the resource's metadata, where these tools look for it.
 */
export function acknowledge(construct: IConstruct, findings: Findings): void {
  const checkov: { id: string; comment: string }[] = [];
  const lint: string[] = [];
  for (const [id, reason] of Object.entries(findings)) {
    if (id.startsWith('CKV')) checkov.push({ id, comment: reason });
    else if (/^[EWI]\d{4}$/.test(id)) lint.push(id);
    else Validations.of(construct).acknowledge({ id, reason });
  }
  const resource = CfnResource.isCfnResource(construct) ? construct : construct.node.defaultChild;
  if (checkov.length === 0 && lint.length === 0) return;
  if (!CfnResource.isCfnResource(resource)) throw new Error(`${construct.node.path} is not one resource`);
  const skipped = (resource.getMetadata('checkov') as { skip: unknown[] } | undefined)?.skip ?? [];
  if (checkov.length > 0) resource.addMetadata('checkov', { skip: [...skipped, ...checkov] });
  if (lint.length > 0) resource.addMetadata('cfn-lint', { config: { ignore_checks: lint } });
}
