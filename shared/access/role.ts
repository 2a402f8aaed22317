/** Least to most; each role may do all that the ones before it may. */
export const ROLES = ['viewer', 'contributor', 'deployer', 'approver', 'admin'] as const;

export type Role = (typeof ROLES)[number];

/** Whether `held` is at least `needed`. */
export function includesRole(held: Role, needed: Role): boolean {
  return ROLES.indexOf(held) >= ROLES.indexOf(needed);
}
