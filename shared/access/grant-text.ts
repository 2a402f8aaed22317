import type { Grant } from './grant.ts';
import { ROLES } from './role.ts';

/** Reads `role@workspace/pattern` or `role@workspace`. @returns a sentence when it is none */
export function readGrant(text: string): Grant | string {
  const [, role, workspace, models = '*'] = /^([a-z]+)@([^/]+)(?:\/(.+))?$/.exec(text) ?? [];
  const known = ROLES.find((one) => one === role);
  if (known && workspace) return { role: known, workspace, models };
  return role && workspace ? `There is no role "${role}".` : `"${text}" is not a grant.`;
}

export const writeGrant = ({ role, workspace, models }: Grant): string => `${role}@${workspace}/${models}`;
