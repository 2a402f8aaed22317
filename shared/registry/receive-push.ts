import { uuidv7 } from 'uuidv7';
import type { Caller } from '../access/caller.ts';
import { allows, authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import type { Ports } from '../ports/ports.ts';
import type { Item, Op } from '../ports/table.ts';
import { packItem } from './commit-version.ts';
import { newVersion } from './create-version.ts';
import { fileListItem, readFileList, type VersionFile } from './file-list.ts';
import { commitWords } from './git/commit-info.ts';
import { isAncestor } from './git/commit-walk.ts';
import { checkModules, checkObject } from './git/fsck.ts';
import { indexPack, type PackLimits } from './git/index-pack.ts';
import { malformed } from './git/malformed.ts';
import { type GitObject, ZERO_OID } from './git/object.ts';
import { type ObjectDatabase, objectDatabase, peel } from './git/object-database.ts';
import type { Pack } from './git/pack.ts';
import { isRefName } from './git/ref-name.ts';
import { turns } from './git/turns.ts';
import { modelChain, repositoryKey, versionKey } from './keys.ts';
import { findModel, type ModelRef, type StoredModel } from './model.ts';
import { pushedFiles, type Wait } from './pushed-files.ts';
import { MAIN, type Ref, readRefs, refTable } from './refs.ts';
import { lastPack, type Repository, readRepository } from './repository.ts';
import { keptAs, openSources } from './repository-objects.ts';
import { inspectStored } from './stored-files.ts';
import { mayBeGone, relianceOf, sweepsEnded } from './sweep.ts';
import { changeOfVersion, fileListName, type Version } from './version.ts';

/** What a push asks of one ref. Zeros stand for "not there". */
export interface RefCommand {
  readonly name: string;
  readonly old: string;
  readonly new: string;
}

export interface Push {
  readonly commands: readonly RefCommand[];
  /** All of it or nothing. */
  readonly atomic: boolean;
  readonly pack?: Uint8Array | undefined;
  readonly limits: PackLimits;
  /** Waits for LFS objects of `main`'s files that are still being verified. */
  readonly wait?: Wait | undefined;
}

export interface PushReport {
  /** Why no object was taken. */
  readonly unpack?: string;
  readonly results: readonly { readonly name: string; readonly problem?: string }[];
  /** Sentences for the person who pushed. */
  readonly notes: readonly string[];
}

/**
 * Takes a push: its objects are read, checked and kept in memory until the refs that may move do, all in one
 * transaction. A push to `main` makes the next version of its tip. Refused or interrupted, it leaves nothing.
 * @throws CairnError `PERMISSION_DENIED`, `MODEL_NOT_FOUND`; what is wrong with the push itself is in the report
 */
export async function receivePush(
  ports: Ports,
  caller: Caller,
  ref: ModelRef,
  push: Push,
): Promise<PushReport> {
  authorize(caller, 'contributor', ref);
  const model = await findModel(ports.table, ref);
  for (;;) {
    const report = await attempt(ports, caller, ref, model, push);
    if (report !== 'changed') return report;
    await sweepsEnded(ports, model);
  }
}

async function attempt(
  ports: Ports,
  caller: Caller,
  ref: ModelRef,
  model: StoredModel,
  push: Push,
): Promise<PushReport | 'changed'> {
  const before = (await readRepository(ports.table, model.id)).body;
  let received: Received;
  try {
    received = await unpack(ports, model, before, push);
  } catch (error) {
    return refusedWhole(push, error);
  }
  const first = await judge(ports, caller, ref, before, push, received.database);
  const toMain = first.accepted.find(({ name }) => name === MAIN);
  let made: MadeVersion | undefined;
  let refused: { name: string; problem: string } | undefined;
  let help: string[] = [];
  if (toMain) {
    try {
      made = await readVersion(ports, model, before, received.database, toMain.new, push.wait);
    } catch (error) {
      refused = { name: MAIN, problem: sentence(error) };
      help = versionHelp(error);
    }
  }
  const { accepted, results } = refused ? refuse(first, refused.name, refused.problem, push.atomic) : first;
  if (accepted.length === 0) return { results, notes: help };
  return store(ports, caller, ref, model, push, received, refused, made, before);
}

interface Received {
  readonly pack: Pack | undefined;
  /** What everything in the pack can be reached from, if it leads nowhere else. */
  readonly tips?: readonly string[] | undefined;
  readonly database: ObjectDatabase;
}

/** Reads and checks the objects of a push. @throws CairnError `INVALID_ARGUMENT` naming what is wrong */
async function unpack(ports: Ports, model: StoredModel, root: Repository, push: Push): Promise<Received> {
  const sources = await openSources(ports, model, root);
  const present = objectDatabase(keptAs(model), sources);
  if (!push.pack) return { pack: undefined, database: present };
  const types = new Map<string, string>();
  const needed = new Map<string, string | undefined>();
  const modules = new Set<string>();
  const pack = await indexPack(
    push.pack,
    present.read,
    (object) => {
      types.set(object.oid, object.type);
      const collision = present.has(object.oid) ? requireSame(present, object) : undefined;
      for (const { oid, type, modules: isModules } of checkObject(object)) {
        if (isModules) modules.add(oid);
        const other = needed.get(oid);
        if (type !== undefined && other !== undefined && other !== type)
          throw malformed(`${oid} is named as ${other} and as ${type}.`);
        needed.set(oid, type ?? other);
      }
      return collision;
    },
    push.limits,
  );
  // All that is in the repository is whole, so what the new objects name makes them whole.
  const turn = turns();
  for (const [oid, type] of needed) {
    await turn();
    const found = types.get(oid) ?? (await present.typeOf(oid));
    if (found === undefined)
      throw malformed(
        `The ${type ?? 'object'} ${oid} is missing. From a shallow clone: git fetch --unshallow, then push again.`,
      );
    if (type !== undefined && found !== type) throw malformed(`${oid} is a ${found}, not a ${type}.`);
  }
  const places = new Map(pack.objects.map((object) => [object.oid, object]));
  const own = {
    has: (oid: string) => places.has(oid),
    entry: (oid: string) => {
      const place = places.get(oid);
      return place && pack.bytes.subarray(place.offset, place.offset + place.length);
    },
  };
  // What is only pushed may be refused, and is nobody else's until then.
  const name = uuidv7();
  const database = objectDatabase(
    (oid) => (present.has(oid) ? keptAs(model)(oid) : name + oid),
    [...sources, own],
  );
  for (const oid of modules) checkModules(oid, (await database.read(oid))?.content ?? new Uint8Array());
  return { pack: pack.objects.length > 0 ? pack : undefined, tips: tipsOf(types, needed), database };
}

/** SHA-1 collides: what is stored under an id stays, and other bytes of the same id are refused, as Git does. */
async function requireSame(present: ObjectDatabase, object: GitObject): Promise<void> {
  const stored = await present.read(object.oid);
  if (stored && stored.type === object.type && Buffer.compare(stored.content, object.content) === 0) return;
  throw malformed(`Another object has the id ${object.oid}: SHA-1 collision.`);
}

const TIPS_MAX = 100;

/** The commits and tags that nothing names, if they lead to all objects of the pack and to no others. */
function tipsOf(
  types: ReadonlyMap<string, string>,
  needed: ReadonlyMap<string, string | undefined>,
): readonly string[] | undefined {
  for (const oid of needed.keys()) if (!types.has(oid)) return undefined;
  const tips: string[] = [];
  for (const [oid, type] of types) {
    if (needed.has(oid)) continue;
    if (type === 'tree' || type === 'blob' || tips.length === TIPS_MAX) return undefined;
    tips.push(oid);
  }
  return tips;
}

interface Judgement {
  readonly results: PushReport['results'];
  readonly accepted: readonly RefCommand[];
}

/** Which refs may move, with the reason for those that may not. */
async function judge(
  ports: Ports,
  caller: Caller,
  ref: ModelRef,
  root: Repository,
  push: Push,
  database: ObjectDatabase,
): Promise<Judgement> {
  const refs = new Map(await readRefs(ports, root));
  if (root.main) refs.set(MAIN, { name: MAIN, oid: root.main.commit });
  const names = refNames(refs.keys());
  const mayRewrite = allows(caller, 'deployer', ref);
  const problems = new Map<string, string | undefined>();
  const turn = turns();
  // Deletions first: what they free may be taken in the same push.
  for (const command of push.commands.toSorted((a, b) => Number(isDeletion(b)) - Number(isDeletion(a)))) {
    await turn();
    const { name } = command;
    const problem = problems.has(name)
      ? 'it stands twice in this push'
      : await problemOf(command, refs.get(name), names, mayRewrite, database);
    problems.set(name, problem);
    if (problem === undefined) isDeletion(command) ? names.delete(name) : names.add(name);
  }
  const accepted = push.commands.filter(({ name }) => problems.get(name) === undefined);
  const results = push.commands.map(({ name }) => {
    const problem = problems.get(name);
    return problem === undefined ? { name } : { name, problem };
  });
  if (!push.atomic || accepted.length === push.commands.length) return { results, accepted };
  return {
    results: results.map(({ name, problem }) => ({ name, problem: problem ?? ATOMIC })),
    accepted: [],
  };
}

const isDeletion = (command: RefCommand) => command.new === ZERO_OID;

/** Names of refs, and the folders that they make: Git keeps refs as files. */
function refNames(initial: Iterable<string>) {
  const names = new Set<string>();
  const folders = new Map<string, number>();
  const foldersOf = (name: string) => [...name.matchAll(/\//g)].map(({ index }) => name.slice(0, index));
  const count = (name: string, by: number) => {
    for (const folder of foldersOf(name)) folders.set(folder, (folders.get(folder) ?? 0) + by);
  };
  const add = (name: string) => {
    if (names.has(name)) return;
    names.add(name);
    count(name, 1);
  };
  for (const name of initial) add(name);
  return {
    add,
    delete(name: string) {
      if (names.delete(name)) count(name, -1);
    },
    /** What the name cannot stand beside: a file of a folder's name, or a folder of a file's. */
    clash(name: string): string | undefined {
      if ((folders.get(name) ?? 0) > 0) return `${name}/…`;
      return foldersOf(name).find((folder) => names.has(folder));
    },
  };
}

const ATOMIC = 'atomic push: another ref was refused';

function refuse(judgement: Judgement, name: string, problem: string, atomic: boolean): Judgement {
  return {
    results: judgement.results.map((result) =>
      result.name === name
        ? { name, problem }
        : atomic
          ? { ...result, problem: result.problem ?? ATOMIC }
          : result,
    ),
    accepted: atomic ? [] : judgement.accepted.filter((command) => command.name !== name),
  };
}

async function problemOf(
  command: RefCommand,
  current: Ref | undefined,
  names: ReturnType<typeof refNames>,
  mayRewrite: boolean,
  database: ObjectDatabase,
): Promise<string | undefined> {
  const { name } = command;
  const deletes = isDeletion(command);
  if (!isRefName(name)) return 'Git takes no ref of that name';
  if (name.startsWith('refs/aliases/')) return 'aliases are moved by `cairn alias`, not by a push';
  if (/^refs\/tags\/v\d+$/i.test(name))
    return 'v<number> tags are the versions’ own: push a commit to main, which makes and tags the next version';
  if (!/^refs\/(heads|tags|notes)\//.test(name)) return 'only branches, tags and notes are kept';
  if (deletes && current === undefined) return 'there is no such ref';
  if ((current?.oid ?? ZERO_OID) !== command.old) return 'it has moved meanwhile: fetch first';
  const clash = names.clash(name);
  if (!deletes && clash !== undefined) return `it cannot stand beside ${clash}`;
  if (name === MAIN && deletes) return 'main is the history of the versions and cannot be deleted';
  if (!deletes) {
    const type = await database.typeOf(command.new);
    if (type === undefined) return `${command.new} was not sent`;
    if (name.startsWith('refs/heads/') && type !== 'commit') return `a branch names a commit, not a ${type}`;
  }
  if (current === undefined) return undefined;
  const rewrites =
    deletes || !name.startsWith('refs/heads/') || !(await isAncestor(database, current.oid, command.new));
  if (!rewrites || (name.startsWith('refs/notes/') && !deletes)) return undefined;
  if (name === MAIN) return 'main only moves forward: fetch, merge or rebase, and push again';
  if (mayRewrite) return undefined;
  return deletes
    ? 'deleting it needs the role "deployer"'
    : 'moving it to where it does not lead needs the role "deployer"';
}

interface MadeVersion {
  readonly version: Omit<Version, 'number'>;
  readonly files: readonly VersionFile[];
  readonly left: readonly string[];
}

/** The version that a commit makes: its words, its files, what they are. */
async function readVersion(
  ports: Ports,
  model: StoredModel,
  root: Repository,
  database: ObjectDatabase,
  oid: string,
  wait: Wait | undefined,
): Promise<MadeVersion> {
  const commitObject = await database.read(oid);
  const info = await database.commit(oid);
  if (!commitObject || !info) throw malformed(`${oid} is no commit.`);
  const known = await presentFiles(ports, model, root);
  const { files, left } = await pushedFiles(ports, model, database, info.tree, known, wait);
  const inspection = await inspectStored(ports.blobs, model, files);
  const { author, message } = commitWords(commitObject.content);
  const draft = {
    message: message.trim().slice(0, 8000).toWellFormed(),
    description: '',
    tags: {},
    source: { via: 'git' as const },
  };
  const nobody = { principal: '', grants: [], requestId: '' };
  const { number: _, ...version } = newVersion(nobody, draft, 0, 0, files);
  return { version: { ...version, ...inspection, author: author || 'unknown', commit: oid }, files, left };
}

/** The files of main's version, whose bytes are there unless it was deleted. */
async function presentFiles(ports: Ports, model: StoredModel, { main }: Repository): Promise<VersionFile[]> {
  if (!main) return [];
  const record = (await ports.table.get(versionKey(model.id, main.version)))?.body as Version | undefined;
  if (!record || record.deletedAt !== undefined) return [];
  return (await readFileList(ports, model.id, fileListName(main.version))) ?? [];
}

/** Moves what may be moved now, by compare-and-swap, with the pack and the version. */
async function store(
  ports: Ports,
  caller: Caller,
  ref: ModelRef,
  model: StoredModel,
  push: Push,
  { pack, tips, database }: Received,
  refused: { name: string; problem: string } | undefined,
  made: MadeVersion | undefined,
  before: Repository,
): Promise<PushReport | 'changed'> {
  return exclusively(modelChain(model.id), async () => {
    const root = await readRepository(ports.table, model.id);
    // Objects that no ref led to may be gone: what was found whole has to be looked at again.
    if (root.body.consolidated?.name !== before.consolidated?.name) return 'changed';
    // So may the files' bytes.
    const digests = made?.files.map(({ sha256 }) => sha256) ?? [];
    if (await mayBeGone(ports, model, root.body, relianceOf(before), digests)) return 'changed';
    let judgement = await judge(ports, caller, ref, root.body, push, database);
    if (refused) judgement = refuse(judgement, refused.name, refused.problem, push.atomic);
    const { accepted, results } = judgement;
    if (accepted.length === 0) return { results, notes: [] };
    const now = ports.clock.now();
    const version: Version | undefined =
      made && accepted.some(({ name }) => name === MAIN)
        ? {
            ...made.version,
            number: root.body.nextNumber,
            pushedBy: caller.principal,
            status: 'READY',
            createdAt: now,
            readyAt: now,
          }
        : undefined;
    const moved = accepted.map(({ name, old, new: to }) => ({ name, from: old, to })).slice(0, MOVES_TOLD);
    const after = { ...(version ?? {}), refs: moved, refCount: accepted.length };
    const change = version
      ? { ...changeOfVersion(model.id, { ...ref, number: version.number }, 'version.created'), after }
      : {
          chain: modelChain(model.id),
          workspace: ref.workspace,
          action: 'refs.pushed',
          subject: ref.name,
          after,
        };
    await commit(ports, caller, change, [
      ...(await rootOps(ports, model, root, accepted, { pack, tips, database }, version)),
      ...(version && made
        ? [
            { put: { ...versionKey(model.id, version.number), body: version }, if: 'absent' as const },
            {
              put: await fileListItem(ports.blobs, model, fileListName(version.number), made.files),
              if: 'absent' as const,
            },
          ]
        : []),
    ]);
    return { results, notes: notesOf(ref, accepted, version, made?.left ?? []) };
  });
}

/** Moves of refs that an audit event lists. */
const MOVES_TOLD = 100;

async function movedRefs(
  ports: Ports,
  root: Repository,
  accepted: readonly RefCommand[],
  database: ObjectDatabase,
): Promise<ReadonlyMap<string, Ref>> {
  const refs = new Map(await readRefs(ports, root));
  for (const { name, new: oid } of accepted) {
    if (name === MAIN) continue;
    if (oid === ZERO_OID) refs.delete(name);
    else {
      const peeled = (await peel(database, oid))?.oid;
      refs.set(name, peeled === undefined || peeled === oid ? { name, oid } : { name, oid, peeled });
    }
  }
  return refs;
}

async function rootOps(
  ports: Ports,
  model: StoredModel,
  root: Item<Repository>,
  accepted: readonly RefCommand[],
  { pack, tips, database }: Received,
  version: Version | undefined,
): Promise<Op[]> {
  const table = accepted.every(({ name }) => name === MAIN)
    ? root.body.refs
    : await refTable(ports, model, await movedRefs(ports, root.body, accepted, database));
  const { refs: _, ...rest } = root.body;
  const number = lastPack(root.body) + 1;
  const body: Repository = {
    ...rest,
    ...(table && { refs: table }),
    ...(version && {
      nextNumber: version.number + 1,
      main: { commit: version.commit ?? '', version: version.number, pushed: true },
    }),
    packs: pack ? number : lastPack(root.body),
    pushed: true,
  };
  const name = pack ? Buffer.from(pack.bytes.subarray(-20)).toString('hex') : '';
  return [
    { put: { ...repositoryKey(model.id), body }, if: { rev: root.rev } },
    ...(pack ? [{ put: await packItem(ports, model, number, name, pack, tips), if: 'absent' as const }] : []),
  ];
}

function notesOf(
  ref: ModelRef,
  accepted: readonly RefCommand[],
  version: Version | undefined,
  left: readonly string[],
): string[] {
  const notes: string[] = [];
  if (version) {
    const { number, fileCount, size } = version;
    notes.push(
      `${ref.name}@${number} is READY: ${fileCount} ${fileCount === 1 ? 'file' : 'files'}, ${size} bytes. Its tag is v${number}: git fetch`,
    );
    for (const what of left.slice(0, 10)) notes.push(`${what} stays in Git and is no file of the version.`);
    if (left.length > 10) notes.push(`So do ${left.length - 10} more.`);
  } else {
    const branch = accepted.find(
      ({ name, new: oid }) => /^refs\/heads\/(main|master|trunk)$/.test(name) && oid !== ZERO_OID,
    );
    if (branch && branch.name !== MAIN)
      notes.push(
        `Versions are made of what is pushed to main: git push origin ${branch.name.slice(11)}:main`,
      );
  }
  return notes;
}

function versionHelp(error: unknown): string[] {
  if (error instanceof CairnError && (error.code === 'FILE_NOT_FOUND' || error.code === 'DIGEST_MISMATCH'))
    return ['Send them with: git lfs push --all origin main', 'Then push again.'];
  return [];
}

const sentence = (error: unknown): string => {
  if (error instanceof CairnError) return error.detail.replaceAll('\n', ' ').replace(/\.$/, '');
  throw error;
};

function refusedWhole(push: Push, error: unknown): PushReport {
  return {
    unpack: sentence(error),
    results: push.commands.map(({ name }) => ({ name, problem: 'unpacker error' })),
    notes: [],
  };
}
