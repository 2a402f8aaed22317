import { authorize } from '../../../shared/access/grant.ts';
import { presentedToken } from '../../../shared/access/presented-token.ts';
import { authenticate, seesEvent } from '../../../shared/access/token.ts';
import type { AuditEvent } from '../../../shared/audit/event.ts';
import { recentEvents } from '../../../shared/audit/feed.ts';
import { PREFIX } from '../../../shared/audit/keys.ts';
import { verifyAudit } from '../../../shared/audit/verify.ts';
import type { Table } from '../../../shared/ports/table.ts';
import { getWorkspace } from '../../../shared/registry/workspace.ts';
import { ok, type Register } from '../contract.ts';
import type { ApiDeps } from '../deps.ts';
import { rfc3339 } from '../time.ts';
import * as routes from './audit.routes.ts';
import { eventStream, eventsSince, startOf } from './event-stream.ts';

export function registerAudit(register: Register, { ports, issuer, subscribe }: ApiDeps): void {
  register(routes.listAuditEvents, async ({ params, query }, { caller }) => {
    const { workspace } = params;
    const { resource, limit } = query;
    authorize(caller, 'viewer', { workspace });
    const { createdAt } = await getWorkspace(ports, workspace);
    const now = ports.clock.now();
    const read = (before: string | undefined) =>
      resource === undefined
        ? recentEvents(ports.table, { workspace, now, since: createdAt, before, limit })
        : chainEvents(ports.table, resource, { workspace, before, limit });
    const events: AuditEvent[] = [];
    for (let { before } = query; events.length < limit; ) {
      const page = await read(before);
      events.push(...page.filter(({ chain, after }) => seesEvent(caller, chain, after)));
      if (page.length < limit) break;
      before = page.at(-1)?.id;
    }
    return ok({ items: events.slice(0, limit).map(eventJson) });
  });

  register(routes.verifyAudit, async ({ params }, { caller }) => {
    const { workspace } = params;
    authorize(caller, 'viewer', { workspace });
    await getWorkspace(ports, workspace);
    const { checkpointAt, ...verification } = await verifyAudit(ports, workspace);
    return ok({
      ...verification,
      checkpointAt: checkpointAt === undefined ? undefined : rfc3339(checkpointAt),
    });
  });

  register(routes.streamEvents, async ({ params }, { caller, requestId, header }) => {
    const { workspace } = params;
    authorize(caller, 'viewer', { workspace });
    const { createdAt } = await getWorkspace(ports, workspace);
    const stillAllowed = () =>
      authenticate(ports, presentedToken(header('authorization')), requestId, issuer);
    const since = startOf(header('last-event-id'), createdAt);
    const body = subscribe
      ? eventStream({ subscribe, ports, workspace, caller, stillAllowed, since })
      : await eventsSince({ ports, workspace, caller, since });
    return new Response(body, {
      headers: {
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'x-request-id': requestId,
      },
    });
  });
}

/** One resource's events, newest first. */
async function chainEvents(
  table: Table,
  chain: string,
  query: { workspace: string; before: string | undefined; limit: number },
): Promise<AuditEvent[]> {
  const events: AuditEvent[] = [];
  for (let after: string | undefined; ; ) {
    const page = await table.query({ pk: chain, prefix: PREFIX, after, reverse: true, limit: 500 });
    for (const item of page.items) {
      const event = item.body as AuditEvent;
      if (event.workspace !== query.workspace) continue;
      if (query.before !== undefined && event.id >= query.before) continue;
      events.push(event);
      if (events.length === query.limit) return events;
    }
    after = page.items.at(-1)?.sk;
    if (!page.more) return events;
  }
}

const eventJson = (event: AuditEvent) => ({ ...event, at: rfc3339(event.at) });
