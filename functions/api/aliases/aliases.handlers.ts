import type { Caller } from '../../../shared/access/caller.ts';
import {
  type AliasMove,
  type AliasRef,
  aliasHistory,
  getAlias,
  listAliases,
  moveAlias,
  type StoredAlias,
} from '../../../shared/registry/alias.ts';
import { NO_CONTENT, ok, type Register } from '../contract.ts';
import type { ApiDeps } from '../deps.ts';
import { etagOf } from '../etag.ts';
import { pageJson } from '../page.ts';
import { rfc3339 } from '../time.ts';
import { versionJson } from '../versions/versions.handlers.ts';
import * as routes from './aliases.routes.ts';

export function registerAliases(register: Register, { ports }: ApiDeps): void {
  /** `*` asks for whatever is there now, so that nothing is moved that is not there. */
  const revision = async (ifMatch: number | '*' | undefined, caller: Caller, ref: AliasRef) =>
    ifMatch === '*' ? (await getAlias(ports, caller, ref)).alias.rev : ifMatch;

  register(routes.listAliases, async ({ params, query }, { caller }) => {
    const ref = { workspace: params.workspace, name: params.model };
    const page = await listAliases(ports, caller, ref, { limit: query.limit, after: query.cursor });
    return ok(pageJson(page, aliasJson));
  });

  register(routes.getAlias, async ({ params }, { caller }) => {
    const ref = aliasRef(params);
    const { alias, version } = await getAlias(ports, caller, ref);
    return ok({ ...aliasJson(alias), modelVersion: versionJson(ref, version) }, { etag: etagOf(alias.rev) });
  });

  register(routes.putAlias, async ({ params, body, ifMatch }, { caller }) => {
    const ref = aliasRef(params);
    const expected = { rev: await revision(ifMatch, caller, ref), version: body.expectedVersion };
    const alias = await moveAlias(ports, caller, ref, body.version, { expected, reason: body.reason });
    return ok(aliasJson(alias), { etag: etagOf(alias.rev) });
  });

  register(routes.deleteAlias, async ({ params, query, ifMatch }, { caller }) => {
    const ref = aliasRef(params);
    const expected = { rev: await revision(ifMatch, caller, ref), version: query.expectedVersion };
    await moveAlias(ports, caller, ref, null, { expected, reason: query.reason });
    return NO_CONTENT;
  });

  register(routes.aliasHistory, async ({ params, query }, { caller }) => {
    const page = await aliasHistory(ports, caller, aliasRef(params), {
      limit: query.limit,
      after: query.cursor,
    });
    return ok(pageJson(page, moveJson));
  });
}

const aliasRef = (params: { workspace: string; model: string; alias: string }): AliasRef => ({
  workspace: params.workspace,
  name: params.model,
  alias: params.alias,
});

const aliasJson = ({ alias, version, movedAt, movedBy }: StoredAlias) => ({
  alias,
  version,
  movedAt: rfc3339(movedAt),
  movedBy,
});

const moveJson = ({ seq, from, to, at, by, reason }: AliasMove) => ({
  seq,
  from,
  to,
  at: rfc3339(at),
  by,
  reason,
});
