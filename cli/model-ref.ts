import type { AliasAnswer, List, Version } from './api.ts';
import { CliError, EXIT, usageError } from './cli-error.ts';
import { type Client, path } from './client.ts';

/** What a person names: `digits`, `digits@3`, `digits@v3`, `digits@champion`, `team/digits@3`. */
export interface ModelRef {
  readonly workspace: string;
  readonly model: string;
  readonly target?: { readonly version: number } | { readonly alias: string };
}

/** Names have no `/`, so one is a workspace's end; what follows the last `@` is a version or an alias. */
export function parseModelRef(text: string, workspace: string): ModelRef {
  const slash = text.indexOf('/');
  const rest = text.slice(slash + 1);
  const at = rest.lastIndexOf('@');
  const model = (at < 0 ? rest : rest.slice(0, at)).normalize('NFC');
  const where = { workspace: slash < 0 ? workspace : text.slice(0, slash), model };
  // In an address `.` and `..` would be taken away, and another thing be asked for.
  if (['', '.', '..'].includes(model) || ['', '.', '..'].includes(where.workspace) || rest.includes('/'))
    throw notARef(text);
  if (at < 0) return where;
  const target = rest.slice(at + 1);
  if (target === '') throw notARef(text);
  return { ...where, target: parseTarget(target) };
}

/** `3` and `v3` are versions, everything else is an alias. */
export function parseTarget(text: string): { version: number } | { alias: string } {
  const [, digits] = /^v?(\d{1,15})$/i.exec(text) ?? [];
  return digits === undefined ? { alias: text } : { version: Number(digits) };
}

/** @throws CliError for what would be read as a version */
export function refuseNumberAlias(alias: string): void {
  if ('alias' in parseTarget(alias)) return;
  throw usageError(`"${alias}" looks like a version, so it cannot be an alias.`);
}

/** An endpoint, which has no version: `digits` or `team/digits`. */
export function parseEndpointRef(text: string, workspace: string): { workspace: string; endpoint: string } {
  const slash = text.indexOf('/');
  const ref = { workspace: slash < 0 ? workspace : text.slice(0, slash), endpoint: text.slice(slash + 1) };
  if (ref.workspace !== '' && ref.endpoint !== '' && !ref.endpoint.includes('/')) return ref;
  throw usageError(`"${text}" does not name an endpoint.`, 'Write `name` or `workspace/name`.');
}

const notARef = (text: string) =>
  usageError(
    `"${text}" does not name a model.`,
    'Write `name`, `name@3`, `name@champion` or `workspace/name@3`.',
  );

export const modelPath = ({ workspace, model }: Pick<ModelRef, 'workspace' | 'model'>) =>
  path`/api/v1/workspaces/${workspace}/models/${model}`;

export const versionPath = (ref: Pick<ModelRef, 'workspace' | 'model'>, version: number) =>
  `${modelPath(ref)}/versions/${version}`;

export const endpointPath = ({ workspace, endpoint }: { workspace: string; endpoint: string }) =>
  path`/api/v1/workspaces/${workspace}/endpoints/${endpoint}`;

/** The version that is named; without a name, or with `latest`, the newest READY one. */
export async function resolveVersion(client: Client, ref: ModelRef): Promise<Version> {
  const { target } = ref;
  if (target && 'version' in target) return client.get(versionPath(ref, target.version));
  if (target && target.alias !== 'latest') {
    return (await client.get<AliasAnswer>(modelPath(ref) + path`/aliases/${target.alias}`)).modelVersion;
  }
  const newest = await newestReady(client, ref);
  if (newest) return newest;
  throw new CliError(
    {
      code: 'VERSION_NOT_FOUND',
      detail: `"${ref.model}" has no version that is READY.`,
      fix: `Push one: \`cairn push <path> ${ref.model}\`.`,
    },
    EXIT.notFound,
  );
}

/** The newest READY version; the list comes newest first. */
async function newestReady(client: Client, ref: ModelRef): Promise<Version | undefined> {
  let cursor: string | undefined;
  do {
    const page: List<Version> = await client.get(`${modelPath(ref)}/versions`, { limit: 20, cursor });
    const ready = page.items.find(({ status }) => status === 'READY');
    if (ready) return ready;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return undefined;
}

/** A word as a shell takes it. */
export const shellWord = (text: string) =>
  /^[\w.@/-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;

/** How the reference is written, without the workspace. */
export const refText = ({ model }: Pick<ModelRef, 'model'>, version: number) => `${model}@${version}`;
