import * as z from 'zod';
import { CairnError } from '../errors.ts';
import type { Caller } from './caller.ts';
import { includesRole, ROLES, type Role } from './role.ts';

/** A role on a workspace (or `*`, all), for the models and endpoints whose name matches (`*` stands for any run of characters). */
export const Grant = z.strictObject({
  role: z.enum(ROLES),
  workspace: z.string().min(1),
  models: z.string().min(1).default('*'),
});
export type Grant = z.infer<typeof Grant>;

/** What an action touches: a workspace as a whole, or one model or endpoint in it by name. */
export interface Scope {
  readonly workspace: string;
  readonly name?: string;
}

/** Whether one of the caller's grants gives at least `needed` on the scope; a workspace as a whole needs a grant on all names. */
export function allows(caller: Caller, needed: Role, scope: Scope): boolean {
  return caller.grants.some(
    (grant) =>
      includesRole(grant.role, needed) &&
      (grant.workspace === '*' || grant.workspace === scope.workspace) &&
      (grant.models === '*' || (scope.name !== undefined && matches(grant.models, scope.name))),
  );
}

/** @throws CairnError `PERMISSION_DENIED` naming the role that is missing */
export function authorize(caller: Caller, needed: Role, scope: Scope): void {
  if (allows(caller, needed, scope)) return;
  const where =
    scope.name === undefined
      ? `workspace "${scope.workspace}"`
      : `"${scope.name}" in workspace "${scope.workspace}"`;
  throw new CairnError('PERMISSION_DENIED', `${caller.principal} needs the role "${needed}" on ${where}.`);
}

/** Glob match in linear time: `*` is any run of characters, everything else is itself. */
export function matches(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  if (rest.length === 0) return pattern === name;
  if (!name.startsWith(first)) return false;
  const last = rest.pop() ?? '';
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}
