import type { Context } from 'hono';
import { CairnError } from '../../../shared/errors.ts';
import type { ModelRef } from '../../../shared/registry/model.ts';
import { ModelName, WorkspaceName } from '../../../shared/registry/name.ts';
import type { ApiEnv } from '../bind.ts';

/** The model that a path names; the `.git` behind its name may be left out. */
export function modelRef(c: Context<ApiEnv>): ModelRef {
  const workspace = WorkspaceName.safeParse(c.req.param('workspace'));
  const name = ModelName.safeParse((c.req.param('model') ?? '').replace(/\.git$/, ''));
  if (!workspace.success || !name.success)
    throw new CairnError('NOT_FOUND', `There is no repository at ${c.req.path}.`);
  return { workspace: workspace.data, name: name.data };
}
