import type { Grant } from './grant.ts';

/** Who asks, and in which request: what authorisation decides on and the audit trail records. */
export interface Caller {
  readonly principal: string;
  /** Of a token of Cairn's. */
  readonly tokenId?: string;
  /** Who vouches for the caller, where it is not Cairn itself. */
  readonly issuer?: string;
  /** When the token ends, in milliseconds since the Unix epoch. */
  readonly expiresAt?: number;
  readonly grants: readonly Grant[];
  readonly requestId: string;
  /** What another protocol calls the request: `mlflow POST model-versions/create`. */
  readonly call?: string;
}

/** Cairn acting by itself: `on-alarm`, `reconcile`, `register-upload`. It may do everything. */
export function systemCaller(component: string, requestId: string): Caller {
  return {
    principal: `system:${component}`,
    grants: [{ role: 'admin', workspace: '*', models: '*' }],
    requestId,
  };
}
