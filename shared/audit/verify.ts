import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import type { Table } from '../ports/table.ts';
import { chainsOf } from './chains.ts';
import { type Checkpoint, verifiedCheckpoint } from './checkpoint.ts';
import { type AuditEvent, GENESIS, hashOf } from './event.ts';
import { type ChainHead, headKey, PREFIX } from './keys.ts';

/** What a check of a workspace's audit trail found. */
export interface Verification {
  readonly ok: boolean;
  readonly chains: number;
  readonly events: number;
  /** When the newest signed checkpoint was made; it binds what was there then. */
  readonly checkpointAt?: number;
  /** The first record of each chain that does not fit. */
  readonly problems: readonly Problem[];
}

export interface Problem {
  readonly chain: string;
  /** The number of the event that is changed, missing or out of order. */
  readonly seq: number;
  readonly problem: string;
}

/**
 * Recomputes every chain of a workspace and holds it against its head and the newest signed checkpoint: finds a record
 * that was changed, removed, added or reordered, and a chain that was cut short or removed since the checkpoint.
 */
export async function verifyAudit(
  ports: Pick<Ports, 'table' | 'blobs' | 'keys'>,
  workspace: string,
): Promise<Verification> {
  const problems: Problem[] = [];
  const { checkpoint, problem } = await verifiedCheckpoint(ports, workspace);
  if (problem) problems.push({ chain: `checkpoint/${workspace}`, seq: 0, problem });
  const missing = new Set(Object.keys(checkpoint?.heads ?? {}));
  let chains = 0;
  let events = 0;
  for await (const chain of chainsOf(ports.table, workspace)) {
    chains++;
    missing.delete(chain);
    const result = await verifyChain(ports.table, chain, checkpoint);
    events += result.events;
    if (result.problem) problems.push(result.problem);
  }
  for (const chain of missing)
    problems.push({ chain, seq: 1, problem: 'The chain is gone; the checkpoint names it.' });
  return {
    ok: problems.length === 0,
    chains,
    events,
    problems,
    ...(checkpoint ? { checkpointAt: checkpoint.at } : {}),
  };
}

async function verifyChain(
  table: Table,
  chain: string,
  checkpoint: Checkpoint | undefined,
): Promise<{ events: number; problem?: Problem }> {
  const bound = checkpoint?.heads[chain];
  // Read first: events that are written meanwhile come after it, in the same transaction as their head.
  const head = await readHead(table, chain);
  let previous = GENESIS;
  let seq = 0;
  const at = (number: number, problem: string) => ({ events: seq, problem: { chain, seq: number, problem } });
  if (!head) return at(1, 'The head of the chain is gone.');
  for await (const item of itemsOf(table, chain, PREFIX)) {
    const event = item.body as AuditEvent;
    const fault = faultOf(event, chain, seq + 1, previous);
    if (fault) return at(seq + 1, fault);
    seq++;
    previous = event.hash;
    if (bound?.seq === seq && bound.hash !== previous)
      return at(seq, 'It is not the event that the signed checkpoint names.');
    if (head.seq === seq && head.hash !== previous)
      return at(seq, 'It is not the event that the head of the chain names.');
  }
  if (Math.max(head.seq, bound?.seq ?? 0) > seq)
    return at(seq + 1, 'The event is missing: the chain was longer.');
  if (head.seq < seq && ((await readHead(table, chain))?.seq ?? 0) < seq)
    return at(seq, 'The head of the chain is before it.');
  return { events: seq };
}

const readHead = async (table: Table, chain: string) =>
  (await table.get(headKey(chain)))?.body as ChainHead | undefined;

/** What is wrong with an event that stands where number `seq` should, in words. */
function faultOf(event: AuditEvent, chain: string, seq: number, previous: string): string | undefined {
  const { hash, ...unsigned } = event;
  if (event.seq !== seq) return `The event is missing: number ${event.seq} stands in its place.`;
  if (event.chain !== chain) return `The event belongs to ${event.chain}.`;
  if (hash !== hashOf(unsigned)) return 'The event was changed: its content does not have its hash.';
  if (event.previous !== previous)
    return 'The event does not follow the one before it: events were reordered or replaced.';
  return undefined;
}
