import { createReadStream } from 'node:fs';
import { lstat, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { watch } from 'chokidar';
import type { Logger } from 'pino';
import { uuidv7 } from 'uuidv7';
import { CairnError } from '../../shared/errors.ts';
import type { Ports } from '../../shared/ports/ports.ts';
import { registerUpload } from '../register-upload/handler.ts';
import { MARKER, parseIncoming } from '../register-upload/incoming-path.ts';

/** Milliseconds that a file must stay as it is before it counts as written; a rename into the folder is quicker to trust. */
const STABLE_MS = 2000;
const RETRY_MS = 30_000;

/**
 * Watches `<root>/<workspace>/<model>/` and registers what is put there. What is complete is first claimed by a rename
 * into `.claimed/<arrival id>/`, so that it is taken once; a claim that a crash left is taken up again at start.
 * What cannot be a version goes to `.rejected/` with an `ERROR.txt` beside it.
 */
export async function watchIncoming(
  ports: Ports,
  root: string,
  logger: Logger,
): Promise<{ close(): Promise<void> }> {
  const claimed = join(root, '.claimed');
  await mkdir(claimed, { recursive: true });
  await mkdir(join(root, 'default'), { recursive: true });
  const running = new Set<Promise<void>>();
  const timers = new Set<NodeJS.Timeout>();
  let closed = false;
  const run = (id: string) => {
    const taken = take(ports, root, id, logger).catch((error): 'later' => {
      logger.error({ err: error, arrival: id }, 'cannot take an incoming version yet');
      return 'later';
    });
    const task = taken.then((outcome) => {
      running.delete(task);
      if (outcome === 'done' || closed) return;
      const timer = setTimeout(() => {
        timers.delete(timer);
        run(id);
      }, RETRY_MS);
      timers.add(timer);
    });
    running.add(task);
  };
  for (const id of await readdir(claimed)) run(id);
  const watcher = watch(root, {
    ignored: (path) => relative(root, path).startsWith('.'),
    awaitWriteFinish: { stabilityThreshold: STABLE_MS, pollInterval: 100 },
    followSymlinks: false,
  });
  watcher.on('add', (path) => {
    claim(root, relative(root, path)).then(
      (id) => id !== undefined && run(id),
      (error) => logger.error({ err: error, path }, 'cannot claim an incoming file'),
    );
  });
  watcher.on('error', (error) => logger.error({ err: error }, 'cannot watch the incoming folder'));
  return {
    async close() {
      closed = true;
      await watcher.close();
      for (const timer of timers) clearTimeout(timer);
      await Promise.all(running);
    },
  };
}

/** Takes what the new file completes out of the folder. @returns the arrival's id, if it completes anything */
async function claim(root: string, path: string): Promise<string | undefined> {
  const incoming = parseIncoming(path);
  if (incoming.kind === 'nothing') return undefined;
  const taken = incoming.kind === 'folder' ? path.slice(0, -MARKER.length - 1) : path;
  const id = uuidv7();
  const target = join(root, '.claimed', id, taken);
  await mkdir(join(target, '..'), { recursive: true });
  try {
    await rename(join(root, taken), target);
  } catch (error) {
    await rm(join(root, '.claimed', id), { recursive: true, force: true });
    // A name that is not UTF-8 is read as another one, which is not there.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && !taken.includes('\ufffd')) return undefined;
    throw error;
  }
  return id;
}

/** Registers one claim; `later` when the cause is not in the files themselves. */
async function take(ports: Ports, root: string, id: string, logger: Logger): Promise<'done' | 'later'> {
  const claimedDir = join(root, '.claimed', id);
  const files = await filesBelow(claimedDir);
  const [first] = files;
  if (first !== undefined) {
    try {
      const { number, model, name } = await register(ports, claimedDir, id, files, first);
      logger.info({ model, version: number, name }, 'registered an incoming version');
    } catch (error) {
      if (!(error instanceof CairnError) || error.code === 'STORAGE_FULL' || error.code === 'CONFLICT') {
        logger.error({ err: error, arrival: id }, 'cannot register an incoming version yet');
        return 'later';
      }
      const rejected = join(root, '.rejected', id);
      await mkdir(join(root, '.rejected'), { recursive: true });
      await rename(claimedDir, rejected);
      await writeFile(join(rejected, 'ERROR.txt'), `${error.code}: ${error.detail}\n`);
      logger.warn({ code: error.code, detail: error.detail, rejected }, 'rejected an incoming version');
      return 'done';
    }
  }
  await rm(claimedDir, { recursive: true, force: true });
  return 'done';
}

async function register(ports: Ports, dir: string, id: string, files: readonly string[], first: string) {
  const [workspace = '', model = '', name = ''] = first.split('/');
  const isFolder = first.split('/').length > 3;
  const incoming = parseIncoming(isFolder ? `${workspace}/${model}/${name}/${MARKER}` : first);
  if (incoming.kind === 'invalid') throw new CairnError('INVALID_ARGUMENT', incoming.detail);
  if (incoming.kind === 'nothing')
    throw new CairnError('INVALID_ARGUMENT', `${first} is not a version's file.`);
  const base = isFolder ? `${workspace}/${model}/${name}/` : `${workspace}/${model}/`;
  for (const path of files) {
    const odd = await oddity(join(dir, path));
    if (odd) throw new CairnError('INVALID_ARGUMENT', `${path} ${odd}: put the file itself there.`);
  }
  const arrived = files
    .map((path) => ({ path: path.slice(base.length), open: () => createReadStream(join(dir, path)) }))
    .filter(({ path }) => path !== MARKER && !path.split('/').some((part) => part.startsWith('.')));
  const version = await registerUpload(ports, {
    id,
    workspace: incoming.workspace,
    model: incoming.model,
    name,
    files: arrived,
  });
  return { number: version.number, model, name };
}

/** Why this is no file that can be read; a link is not followed, since it may lead to what its maker may not see. */
async function oddity(path: string): Promise<string | undefined> {
  if (path.includes('\ufffd')) return 'has a name that is not UTF-8';
  const found = await lstat(path);
  if (found.isSymbolicLink()) return 'is a symbolic link';
  return found.isFile() ? undefined : 'is not a regular file';
}

/** Paths of what is no folder below a folder, `/`-separated, in byte order. */
async function filesBelow(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(dir, join(entry.parentPath, entry.name)))
    .sort();
}
