import { searchModels } from '../../../shared/registry/search.ts';
import { ok, type Register } from '../contract.ts';
import type { ApiDeps } from '../deps.ts';
import { modelJson } from '../models/models.handlers.ts';
import { pageJson } from '../page.ts';
import * as routes from './search.routes.ts';

export function registerSearch(register: Register, { ports }: ApiDeps): void {
  register(routes.search, async ({ query }, { caller }) => {
    const { workspace, q, limit, cursor } = query;
    return ok(
      pageJson(await searchModels(ports, caller, { workspace, text: q, limit, after: cursor }), modelJson),
    );
  });
}
