import type { Context } from 'hono';
import { CairnError } from '../../../shared/errors.ts';
import type { ModelRef } from '../../../shared/registry/model.ts';
import { ModelName, WorkspaceName } from '../../../shared/registry/name.ts';
import type { ApiEnv } from '../bind.ts';
import { repositoryPath } from './git-error.ts';

/** The model that a path names; the `.git` behind its name may be left out. */
export function modelRef(c: Context<ApiEnv>): ModelRef {
  const workspace = WorkspaceName.safeParse(c.req.param('workspace'));
  const name = ModelName.safeParse((c.req.param('model') ?? '').replace(/\.git$/, ''));
  if (!workspace.success || !name.success) throw noRepository(c.req.path);
  return { workspace: workspace.data, name: name.data };
}

/** What a client asks for that was told the address of no repository. */
export const noRepository = (path: string): CairnError =>
  new CairnError('NOT_FOUND', `There is no repository at ${repositoryPath(path)}.`);
