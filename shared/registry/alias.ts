import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import { type ListPage, listPage, type PageRequest } from '../ports/page.ts';
import type { Ports } from '../ports/ports.ts';
import type { Table } from '../ports/table.ts';
import {
  ALIAS_PREFIX,
  aliasHistoryKey,
  aliasHistoryPrefix,
  aliasKey,
  modelChain,
  versionKey,
} from './keys.ts';
import { findModelId, type ModelRef, preconditionFailed } from './model.ts';
import { findVersion, type StoredVersion } from './version.ts';

/** A movable name for a version. Its record stays when it is deleted, so that its moves stay numbered. */
export interface Alias {
  readonly format: 1;
  readonly alias: string;
  /** Null once deleted. */
  readonly version: number | null;
  /** Moves so far; the history has one entry for each. */
  readonly seq: number;
  readonly movedAt: number;
  readonly movedBy: string;
}

export type StoredAlias = Alias & { readonly rev: number };

/** One move, kept for ever. */
export interface AliasMove {
  readonly format: 1;
  readonly seq: number;
  readonly from: number | null;
  readonly to: number | null;
  readonly at: number;
  readonly by: string;
  readonly reason?: string;
}

export interface AliasRef extends ModelRef {
  readonly alias: string;
}

/** What a move expects to find: a revision (ETag), or the version that the alias names now, null for none. */
export interface Expected {
  readonly rev?: number | undefined;
  readonly version?: number | null | undefined;
}

/**
 * Points the alias at a READY version (or at nothing: null deletes it), by compare-and-swap, with its history.
 * @throws CairnError `VERSION_NOT_FOUND`, `VERSION_NOT_READY`; `ALIAS_CONFLICT` or `PRECONDITION_FAILED` if it is not where `expected` says
 */
export async function moveAlias(
  ports: Ports,
  caller: Caller,
  ref: AliasRef,
  to: number | null,
  options: { expected?: Expected; reason?: string | undefined } = {},
): Promise<StoredAlias> {
  authorize(caller, 'deployer', ref);
  const id = await findModelId(ports.table, ref);
  return exclusively(modelChain(id), async () => {
    const item = await ports.table.get(aliasKey(id, ref.alias));
    const before = item?.body as Alias | undefined;
    const from = before?.version ?? null;
    checkExpected(ref, options.expected, { rev: item?.rev ?? 0, version: from });
    if (to === null && from === null) throw aliasNotFound(ref);
    const version = to === null ? undefined : await findReady(ports.table, id, to);
    const now = ports.clock.now();
    const seq = (before?.seq ?? 0) + 1;
    const after: Alias = {
      format: 1,
      alias: ref.alias,
      version: to,
      seq,
      movedAt: now,
      movedBy: caller.principal,
    };
    const move: AliasMove = {
      format: 1,
      seq,
      from,
      to,
      at: now,
      by: caller.principal,
      ...(options.reason === undefined ? {} : { reason: options.reason }),
    };
    await commit(
      ports,
      caller,
      {
        chain: modelChain(id),
        workspace: ref.workspace,
        action: to === null ? 'alias.deleted' : 'alias.moved',
        subject: `${ref.name}@${ref.alias}`,
        reason: options.reason,
        before: { version: from },
        after: { version: to },
      },
      [
        { put: { ...aliasKey(id, ref.alias), body: after }, if: item ? { rev: item.rev } : 'absent' },
        { put: { ...aliasHistoryKey(id, ref.alias, seq), body: move }, if: 'absent' },
        ...(version ? [{ check: versionKey(id, version.number), if: { rev: version.rev } }] : []),
      ],
    );
    return { ...after, rev: (item?.rev ?? 0) + 1 };
  });
}

function checkExpected(
  ref: AliasRef,
  expected: Expected | undefined,
  found: { rev: number; version: number | null },
) {
  if (expected?.rev !== undefined && expected.rev !== found.rev)
    throw preconditionFailed(`${ref.name}@${ref.alias}`);
  if (expected?.version !== undefined && expected.version !== found.version) {
    const now = found.version === null ? 'points to nothing' : `points to version ${found.version}`;
    throw new CairnError(
      'ALIAS_CONFLICT',
      `"${ref.alias}" ${now}, not to ${expected.version ?? 'nothing'}.`,
      'expectedVersion',
    );
  }
}

async function findReady(table: Table, modelId: string, number: number): Promise<StoredVersion> {
  const version = await findVersion(table, modelId, number);
  if (version.status !== 'READY') {
    throw new CairnError('VERSION_NOT_READY', `Version ${number} is ${version.status}.`, 'version');
  }
  return version;
}

/** The alias and the version it names. @throws CairnError `ALIAS_NOT_FOUND`, `MODEL_NOT_FOUND` */
export async function getAlias(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  ref: AliasRef,
): Promise<{ alias: StoredAlias; version: StoredVersion }> {
  authorize(caller, 'viewer', ref);
  const id = await findModelId(ports.table, ref);
  const alias = await findAlias(ports.table, id, ref.alias);
  if (!alias || alias.version === null) throw aliasNotFound(ref);
  return { alias, version: await findVersion(ports.table, id, alias.version) };
}

/** The alias' record, also of one that points to nothing; for domain code that has authorised its caller. */
export async function findAlias(
  table: Table,
  modelId: string,
  alias: string,
): Promise<StoredAlias | undefined> {
  const item = await table.get(aliasKey(modelId, alias));
  return item && { ...(item.body as Alias), rev: item.rev };
}

/** A page of a model's aliases by name. */
export async function listAliases(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  ref: ModelRef,
  page: PageRequest,
): Promise<ListPage<StoredAlias>> {
  authorize(caller, 'viewer', ref);
  const id = await findModelId(ports.table, ref);
  const found = await ports.table.query({ pk: modelChain(id), prefix: ALIAS_PREFIX, ...page });
  return listPage(found, (item) => {
    const alias = item.body as Alias;
    return alias.version === null ? undefined : { ...alias, rev: item.rev };
  });
}

/** A page of the alias' moves, newest first. @throws CairnError `ALIAS_NOT_FOUND` for one that never was */
export async function aliasHistory(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  ref: AliasRef,
  page: PageRequest,
): Promise<ListPage<AliasMove>> {
  authorize(caller, 'viewer', ref);
  const id = await findModelId(ports.table, ref);
  if (!(await ports.table.get(aliasKey(id, ref.alias)))) throw aliasNotFound(ref);
  const prefix = aliasHistoryPrefix(ref.alias);
  const found = await ports.table.query({ pk: modelChain(id), prefix, reverse: true, ...page });
  return listPage(found, (item) => item.body as AliasMove);
}

const aliasNotFound = (ref: AliasRef) =>
  new CairnError('ALIAS_NOT_FOUND', `"${ref.name}" has no alias "${ref.alias}".`, 'alias');
