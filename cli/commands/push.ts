import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Alias, Version } from '../api.ts';
import { CliError, hasCode, usageError } from '../cli-error.ts';
import { path as apiPath } from '../client.ts';
import { type Context, onInterrupt, run } from '../context.ts';
import { git, mustGit } from '../git.ts';
import { requireLfs, trackModelFiles } from '../lfs-tracking.ts';
import {
  type ModelRef,
  modelPath,
  parseModelRef,
  refText,
  refuseNumberAlias,
  shellWord,
} from '../model-ref.ts';
import { bytes, plural } from '../output.ts';
import { startProgress } from '../progress.ts';
import { isInteractive, requireConsent } from '../prompt.ts';
import { readLogin, type Settings, uploadStateFolder } from '../settings.ts';
import { hashFiles } from '../transfer/digest.ts';
import type { LocalFile } from '../transfer/folder.ts';
import type { Draft } from '../transfer/upload.ts';
import { uploadStateFile } from '../transfer/upload-state.ts';
import { keyValue, repeated } from './option.ts';

interface PushOptions {
  readonly message?: string;
  readonly description?: string;
  readonly tag?: Record<string, string>;
  readonly alias?: string[];
  readonly create?: boolean;
  readonly yes?: boolean;
  readonly run?: string;
  readonly dataset?: string;
  readonly codeCommit?: string;
}

/** Up to here files travel inside one request. */
const INLINE_BYTES = 1024 * 1024;
const INLINE_FILES = 50;

export function push(program: Command): void {
  program
    .command('push')
    .description('make a version of a file or folder')
    .argument(
      '[path]',
      'file, or folder with all that is in it; without it, the commits of the clone that you are in',
    )
    .argument('[model]', 'name of the model, which is made if it is not there')
    .option('-m, --message <text>', 'what is new in this version')
    .option('--description <text>', 'description of the version')
    .option('--alias <name>', 'point this alias at the new version; may be repeated', repeated)
    .option('--tag <key=value>', 'tag of the version; may be repeated', keyValue)
    .option('--run <id>', 'training run that made it')
    .option('--dataset <name>', 'data that it was trained on')
    .option('--code-commit <id>', 'commit of the training code')
    .option('--create', 'make the model without asking')
    .option('--no-create', 'fail if the model is not there')
    .option('-y, --yes', 'ask nothing')
    .addHelpText(
      'after',
      `
Sends only what the model does not have yet. When it is interrupted, the same command goes on where it stopped.
Leaves out .git, .gitattributes, .gitmodules and .DS_Store.

In a clone of \`cairn clone\`, \`cairn push\` alone sends the commits of the branch that is checked out to main, and large
files by Git LFS.

Examples:
  cairn push model.onnx digits -m "trained on 1,500 images"
  cairn push ./model digits --alias champion --tag accuracy=0.98
  cairn push ./model "team/digits" --no-create --json`,
    )
    .action(run(pushVerb));
}

async function pushVerb(
  context: Context,
  path: string | undefined,
  name: string | undefined,
  options: PushOptions,
): Promise<void> {
  const { output, signal, client } = context;
  if (path === undefined) return pushCommits(context);
  if (name === undefined)
    throw usageError('There is no model to push to.', `Write \`cairn push ${path} <model>\`.`);
  const ref = parseModelRef(name, context.workspace);
  if (ref.target)
    throw usageError(`"${name}" names a version; a push always makes a new one.`, `Push to "${ref.model}".`);
  for (const alias of options.alias ?? []) refuseNumberAlias(alias);
  // Loaded when needed: the schema library behind it takes a third of the time that a short command runs.
  const { readFolder } = await import('../transfer/folder.ts');
  const { files, skipped } = await readFolder(path);
  if (skipped.length > 0)
    output.note(
      `Left out: ${skipped.slice(0, 5).join(', ')}${skipped.length > 5 ? ` and ${skipped.length - 5} more` : ''}.`,
    );
  await ensureModel(context, ref, options);
  const version = await makeVersion(context, ref, files, draftOf(options));
  onInterrupt(undefined);
  signal.throwIfAborted();
  const aliases: Alias[] = [];
  for (const alias of options.alias ?? []) {
    aliases.push(
      await client.put<Alias>(modelPath(ref) + apiPath`/aliases/${alias}`, { version: version.version }),
    );
  }
  output.result(options.alias ? { ...version, aliases } : version, () => summary(version, aliases));
}

/** Pushes the clone that this folder is in. @throws CliError if it is no clone of a server that is known */
async function pushCommits({ output, settings, signal }: Context): Promise<void> {
  const inside = await git(['rev-parse', '--show-toplevel'], { quiet: true, signal });
  if (inside.status !== 0)
    throw usageError('There is nothing to push.', 'Write `cairn push <path> <model>`, or go to a clone.');
  await requireCairnRemote(settings, signal);
  await requireLfs(signal);
  const root = inside.stdout.replace(/\n$/, '');
  const tracked = await trackModelFiles(root, signal);
  if (tracked.length > 0)
    output.note(
      `Git LFS keeps ${tracked.join(' ')} from now on: commit .gitattributes with the next change.`,
    );
  await mustGit(['push', ...(output.quiet || output.json ? ['--quiet'] : []), 'origin', 'HEAD:main'], {
    signal,
  });
  const commit = (await mustGit(['rev-parse', 'HEAD'], { signal })).trim();
  output.result({ commit, branch: 'main' }, () => `Pushed ${commit} to main.`);
}

/** A checkout of something else must not be pushed by a word that was forgotten. */
async function requireCairnRemote({ url }: Settings, signal: AbortSignal): Promise<void> {
  const remote = await git(['remote', 'get-url', '--push', 'origin'], { quiet: true, signal });
  const address = URL.parse(remote.stdout.trim());
  const servers = [url.href, ...Object.keys((await readLogin(process.env))?.tokens ?? {})];
  if (address && servers.some((server) => `${address.origin}${address.pathname}`.startsWith(server))) return;
  throw usageError(
    `This Git repository is no clone of a model: its origin is not on ${url.href}.`,
    'Write `cairn push <path> <model>`, or go to a folder that `cairn clone` made.',
  );
}

function draftOf(options: PushOptions): Draft {
  const { message, description, tag, run, dataset, codeCommit } = options;
  const source = { ...(run && { run }), ...(dataset && { dataset }), ...(codeCommit && { codeCommit }) };
  return {
    ...(message !== undefined && { message }),
    ...(description !== undefined && { description }),
    ...(tag && { tags: tag }),
    ...(Object.keys(source).length > 0 && { source }),
  };
}

async function ensureModel(context: Context, ref: ModelRef, options: PushOptions): Promise<void> {
  const { client, output } = context;
  const { model, workspace } = ref;
  try {
    await client.get(modelPath(ref));
    return;
  } catch (error) {
    if (!hasCode(error, 'MODEL_NOT_FOUND') || options.create === false) throw error;
  }
  if (!options.create && !options.yes && isInteractive()) {
    await requireConsent(`There is no model "${model}" in workspace "${workspace}". Make it?`, false);
  }
  try {
    await client.post(apiPath`/api/v1/workspaces/${workspace}/models`, { name: model });
    output.note(`Made the model "${model}".`);
  } catch (error) {
    if (!hasCode(error, 'MODEL_EXISTS')) throw error;
  }
}

async function makeVersion(
  context: Context,
  ref: ModelRef,
  files: readonly LocalFile[],
  draft: Draft,
): Promise<Version> {
  const { client, output, signal } = context;
  const total = files.reduce((sum, { size }) => sum + size, 0);
  if (files.length <= INLINE_FILES && total <= INLINE_BYTES) {
    const inline = await Promise.all(files.map(readInline));
    return client.post<Version>(`${modelPath(ref)}/versions`, { files: inline, ...draft });
  }
  output.note(`${plural(files.length, 'file')}, ${bytes(total)}.`);
  onInterrupt('Run the same command again to go on where it stopped.');
  const hashing = startProgress(output, 'Reading', total);
  const hashed = await hashFiles(files, { signal, onBytes: hashing.add }).finally(hashing.end);
  const contents = hashed.map(({ path, size, sha256 }) => [path, size, sha256]);
  const stateFile = uploadStateFile(uploadStateFolder(process.env), [client.url.href, ref, draft, contents]);
  const { upload } = await import('../transfer/upload.ts');
  return upload({ client, ref, files: hashed, draft, output, signal, stateFile });
}

async function readInline({ path, file, size }: LocalFile) {
  const content = await readFile(file);
  if (content.length !== size) {
    throw new CliError({
      code: 'FILE_CHANGED',
      detail: `"${path}" changed while it was being read.`,
      fix: 'Push again.',
    });
  }
  const sha256 = createHash('sha256').update(content).digest('hex');
  return { path, content: content.toString('base64'), sha256 };
}

function summary(version: Version, aliases: readonly Alias[]): string {
  const { model, version: number, commit, fileCount, size, format, framework } = version;
  const kind = [framework, format].filter((word, at, all) => word && all.indexOf(word) === at).join(' ');
  const ref = shellWord(refText(version, number));
  // What endpoints run; other formats are kept and not served.
  const next = format === 'onnx' || format === 'mlflow' ? 'deploy' : 'show';
  return [
    `Pushed ${model} version ${number} (${plural(fileCount, 'file')}, ${bytes(size)}${kind && `, ${kind}`}).`,
    ...(commit ? [`Commit ${commit}`] : []),
    ...aliases.map(({ alias }) => `Alias ${alias} points to version ${number}.`),
    `Next: cairn ${next} ${ref}`,
  ].join('\n');
}
