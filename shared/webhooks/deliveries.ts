import type { Key, Table } from '../ports/table.ts';

/** How one delivery went, for whoever asks why a webhook was not told. */
export interface DeliveryRecord {
  readonly id: string;
  /** The event's name. */
  readonly event: string;
  /** When it happened. */
  readonly at: number;
  readonly state: 'DELIVERED' | 'WAITING' | 'FAILED';
  readonly attempts: number;
  readonly lastAttemptAt: number;
  /** Why it was not taken. */
  readonly why?: string;
  /** When it is tried again. */
  readonly due?: number;
}

/** A webhook's newest deliveries: one small item, which each attempt writes anew. */
export interface Deliveries {
  readonly format: 1;
  readonly newest: readonly DeliveryRecord[];
}

const KEPT = 20;
const WHY_LENGTH = 300;

export const deliveriesKey = (workspace: string, webhook: string): Key => ({
  pk: `webhook-deliveries/${workspace}`,
  sk: webhook,
});

/** With what is known of one delivery now, and no more than are kept. */
export function withDelivery(before: Deliveries | undefined, record: DeliveryRecord): Deliveries {
  const { why, ...rest } = record;
  const others = (before?.newest ?? []).filter(({ id }) => id !== record.id);
  const first = { ...rest, ...(why === undefined ? {} : { why: why.slice(0, WHY_LENGTH) }) };
  return { format: 1, newest: [first, ...others].slice(0, KEPT) };
}

/** Those that were tried last first. */
export async function deliveriesOf(
  table: Table,
  workspace: string,
  webhook: string,
): Promise<readonly DeliveryRecord[]> {
  const item = await table.get(deliveriesKey(workspace, webhook));
  return (item?.body as Deliveries | undefined)?.newest ?? [];
}
