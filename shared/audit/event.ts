import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';

/** One link of a resource's chain: who did what, from what to what, why, in which request. */
export interface AuditEvent {
  /** Layout of this record. */
  readonly format: 1;
  /** The resource whose chain this is: `model/<id>`, `endpoint/<workspace>/<name>`, `token/<id>`, `workspace/<name>`. */
  readonly chain: string;
  /** 1, 2, 3 … without a hole. */
  readonly seq: number;
  /** UUIDv7; sorts by time. */
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly workspace: string;
  /** `version.created`, `alias.moved`, `endpoint.rolled-back` … */
  readonly action: string;
  /** What it happened to in a person's words, for example `digits@3`. */
  readonly subject: string;
  readonly actor: { readonly principal: string; readonly tokenId?: string; readonly issuer?: string };
  readonly requestId: string;
  /** What another protocol than the native API calls the request: `mlflow POST model-versions/create`. */
  readonly call?: string;
  readonly reason?: string;
  readonly before?: unknown;
  readonly after?: unknown;
  /** The hash of the event before, 64 zeros for the first. */
  readonly previous: string;
  /** SHA-256, lower-case hex, of the RFC 8785 canonical JSON of all the fields above. */
  readonly hash: string;
}

/** The `previous` of a chain's first event. */
export const GENESIS = '0'.repeat(64);

/** The hash that an event must carry. */
export function hashOf(event: Omit<AuditEvent, 'hash'>): string {
  return createHash('sha256')
    .update(canonicalize(event) ?? '')
    .digest('hex');
}
