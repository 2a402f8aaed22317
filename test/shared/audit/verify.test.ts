import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { writeCheckpoint } from '../../../shared/audit/checkpoint.ts';
import { recentEvents } from '../../../shared/audit/feed.ts';
import { verifyAudit } from '../../../shared/audit/verify.ts';
import { createModel, updateModel } from '../../../shared/registry/model.ts';
import { type LocalPorts, openLocalPorts, someone } from '../../support/local-ports.ts';

const ada = someone('ada', 'admin');
const ref = { workspace: 'default', name: 'digits' };

let ports: LocalPorts;
let chain: string;
beforeEach(async () => {
  ports = await openLocalPorts();
  chain = `model/${(await createModel(ports, ada, { ...ref, description: '', tags: {} })).id}`;
  for (const description of ['one', 'two', 'three', 'four'])
    await updateModel(ports, ada, ref, { description });
});
afterEach(() => ports.close());

/** Changes the store behind Cairn's back, as someone with the file would; seen from the next turn of the event loop on. */
async function tamper(sql: string, ...values: string[]): Promise<void> {
  const db = new DatabaseSync(join(ports.dir, 'cairn.db'));
  expect(db.prepare(sql).run(...values).changes).toBeGreaterThan(0);
  db.close();
  await turn();
}
const at = (seq: number) => `audit#${String(seq).padStart(12, '0')}`;

describe('audit verify', () => {
  test('an untouched trail is found whole', async () => {
    expect(await verifyAudit(ports, 'default')).toEqual({ ok: true, chains: 2, events: 6, problems: [] });
  });

  test('names the first event that was changed', async () => {
    await tamper(
      `UPDATE item SET body = replace(body, '"two"', '"2"') WHERE pk = ? AND sk = ?`,
      chain,
      at(3),
    );
    expect((await verifyAudit(ports, 'default')).problems).toMatchObject([{ chain, seq: 3 }]);
  });

  test('names an event that was removed, in the middle or at the end', async () => {
    await tamper('DELETE FROM item WHERE pk = ? AND sk = ?', chain, at(5));
    expect((await verifyAudit(ports, 'default')).problems).toMatchObject([{ chain, seq: 5 }]);
    await tamper('DELETE FROM item WHERE pk = ? AND sk = ?', chain, at(2));
    expect((await verifyAudit(ports, 'default')).problems).toMatchObject([{ chain, seq: 2 }]);
  });

  test('names the first of two events that changed places', async () => {
    for (const [from, to] of [
      [at(2), 'x'],
      [at(3), at(2)],
      ['x', at(3)],
    ] as const) {
      await tamper('UPDATE item SET sk = ? WHERE pk = ? AND sk = ?', to, chain, from);
    }
    expect((await verifyAudit(ports, 'default')).problems).toMatchObject([{ chain, seq: 2 }]);
  });

  test('a chain cut short together with its head, or removed whole, is held against the signed checkpoint', async () => {
    expect(await writeCheckpoint(ports, 'default')).toBe(true);
    expect(await writeCheckpoint(ports, 'default')).toBe(false);
    expect(await verifyAudit(ports, 'default')).toMatchObject({ ok: true, checkpointAt: ports.clock.now() });
    await tamper('DELETE FROM item WHERE pk = ? AND sk = ?', chain, at(5));
    await tamper(
      `UPDATE item SET body = (SELECT json_object('seq', 4, 'hash', json_extract(body, '$.hash')) FROM item
            WHERE pk = ?1 AND sk = '${at(4)}') WHERE pk = ?1 AND sk = 'audit-head'`,
      chain,
    );
    expect((await verifyAudit(ports, 'default')).problems).toMatchObject([{ chain, seq: 5 }]);
    await tamper('DELETE FROM item WHERE pk = ?', chain);
    await tamper(`DELETE FROM item WHERE pk = 'chains/default' AND sk = ?`, chain);
    expect((await verifyAudit(ports, 'default')).problems).toMatchObject([{ chain, seq: 1 }]);
  });

  test('events written while it reads are not taken for faults', async () => {
    const writing = (async () => {
      for (let n = 0; n < 50; n++) await updateModel(ports, ada, ref, { description: `${n}` });
    })();
    for (let n = 0; n < 20; n++) expect((await verifyAudit(ports, 'default')).problems).toEqual([]);
    await writing;
  });
});

test('the feed has a workspace’s events newest first, page by page, over the turn of the month', async () => {
  ports.clock.advance(40 * 24 * 3600 * 1000);
  await updateModel(ports, ada, ref, { description: 'five' });
  const seen: string[] = [];
  for (let before: string | undefined; ; ) {
    const page = await recentEvents(ports.table, {
      workspace: 'default',
      now: ports.clock.now(),
      since: Date.UTC(2026, 0, 1),
      before,
      limit: 3,
    });
    seen.push(...page.map(({ action, seq }) => `${action} ${seq}`));
    before = page.at(-1)?.id;
    if (page.length === 0) break;
  }
  expect(seen).toEqual([
    'model.updated 6',
    'model.updated 5',
    'model.updated 4',
    'model.updated 3',
    'model.updated 2',
    'model.created 1',
    'workspace.created 1',
  ]);
});
