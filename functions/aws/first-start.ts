import { ensureFirstToken } from '../../shared/access/token.ts';
import { CairnError } from '../../shared/errors.ts';
import type { Ports } from '../../shared/ports/ports.ts';
import { ensureDefaultWorkspace } from '../../shared/registry/workspace.ts';

/**
 * What a new installation begins with: the default workspace, and the secret's value as the first admin's token. Two reads
 * when it has both; the secret is read only while there is no token at all.
 */
export function firstStart(secretArn: string) {
  const chosen = async () => (await import('./secret.ts')).readSecret(secretArn);
  return async (ports: Ports): Promise<void> => {
    await Promise.all([ensureDefault(ports), ensureFirstToken(ports, chosen)]);
  };
}

/** The default workspace; two functions may begin at the same time. */
export async function ensureDefault(ports: Ports): Promise<void> {
  try {
    await ensureDefaultWorkspace(ports);
  } catch (error) {
    if (!(error instanceof CairnError && error.code === 'WORKSPACE_EXISTS')) throw error;
  }
}
