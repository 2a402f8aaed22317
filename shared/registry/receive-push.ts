import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import type { Ports } from '../ports/ports.ts';
import type { Item, Op } from '../ports/table.ts';
import { packItem } from './commit-version.ts';
import { newVersion } from './create-version.ts';
import { fileListItem, readFileList, type VersionFile } from './file-list.ts';
import { commitWords } from './git/commit-info.ts';
import { malformed } from './git/malformed.ts';
import { ZERO_OID } from './git/object.ts';
import { type ObjectDatabase, peel } from './git/object-database.ts';
import { judgePush, refuseRef } from './judge-push.ts';
import { modelChain, repositoryKey, versionKey } from './keys.ts';
import { findModel, type ModelRef, type StoredModel } from './model.ts';
import type { Push, PushReport, RefCommand } from './push.ts';
import { pushedFiles, type Wait } from './pushed-files.ts';
import { MAIN, type Ref, readRefs, refTable } from './refs.ts';
import { lastPack, type Repository, readRepository } from './repository.ts';
import { inspectStored } from './stored-files.ts';
import { mayBeGone, relianceOf, sweepsEnded } from './sweep.ts';
import { type Received, unpackPush } from './unpack-push.ts';
import { changeOfVersion, fileListName, type Version } from './version.ts';

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
    received = await unpackPush(ports, model, before, push);
  } catch (error) {
    return refusedWhole(push, error);
  }
  const first = await judgePush(ports, caller, ref, before, push, received.database);
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
  const { accepted, results } = refused
    ? refuseRef(first, refused.name, refused.problem, push.atomic)
    : first;
  if (accepted.length === 0) return { results, notes: help };
  return store(ports, caller, ref, model, push, received, refused, made, before);
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
    let judgement = await judgePush(ports, caller, ref, root.body, push, database);
    if (refused) judgement = refuseRef(judgement, refused.name, refused.problem, push.atomic);
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
