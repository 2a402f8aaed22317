import { ModelName, WorkspaceName } from '../../shared/registry/name.ts';

/** The file whose coming says that a folder is complete, as Hadoop's committers write it. */
export const MARKER = '_SUCCESS';

/** What a new file in the incoming area completes. */
export type Incoming =
  | { readonly kind: 'file'; readonly workspace: string; readonly model: string; readonly name: string }
  | { readonly kind: 'folder'; readonly workspace: string; readonly model: string; readonly folder: string }
  /** Part of a folder whose marker has not come, or not meant to be registered: a hidden or partial file. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'invalid'; readonly detail: string };

/**
 * Reads a path relative to the incoming area: `<workspace>/<model>/<file>` completes a version by itself,
 * `<workspace>/<model>/<folder>/_SUCCESS` completes the folder.
 */
export function parseIncoming(path: string): Incoming {
  const [workspace = '', model = '', third = '', ...rest] = path.split('/');
  const name = rest.at(-1) ?? third;
  if (third === '' || name.startsWith('.') || /\.(part|tmp|crdownload)$/.test(name))
    return { kind: 'nothing' };
  if (rest.length > 0 && (rest.length > 1 || name !== MARKER)) return { kind: 'nothing' };
  if (rest.length === 0 && name === MARKER) return { kind: 'nothing' };
  const workspaceName = WorkspaceName.safeParse(workspace);
  if (!workspaceName.success)
    return { kind: 'invalid', detail: `workspace ${workspaceName.error.issues[0]?.message}` };
  const modelName = ModelName.safeParse(model);
  if (!modelName.success) return { kind: 'invalid', detail: `model ${modelName.error.issues[0]?.message}` };
  const of = { workspace: workspaceName.data, model: modelName.data };
  return rest.length > 0 ? { kind: 'folder', ...of, folder: third } : { kind: 'file', ...of, name: third };
}
