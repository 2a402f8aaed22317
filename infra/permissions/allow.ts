import { PolicyStatement } from 'aws-cdk-lib/aws-iam';

export interface Permission {
  readonly statement: PolicyStatement;
  /** Why a resource in it has a `*`. */
  readonly wildcard?: string | undefined;
}

interface Circumstances {
  readonly conditions?: Record<string, Record<string, string | readonly string[]>>;
  /** Has to be there when a resource has a `*`: what {@link grant} tells the checkers of the template. */
  readonly wildcard?: string;
}

/** Allows exactly these actions on exactly these resources. */
export function allow(
  sid: string,
  actions: readonly string[],
  resources: readonly string[],
  { conditions, wildcard }: Circumstances = {},
): Permission {
  const statement = new PolicyStatement({
    sid,
    actions: [...actions],
    resources: [...resources],
    ...(conditions ? { conditions } : {}),
  });
  return { statement, wildcard };
}
