import type { Grant } from '../shared/access/grant.ts';
import type { AuditEvent } from '../shared/audit/event.ts';
import type { Signature } from '../shared/registry/format/signature.ts';
import type { EndpointSpec } from '../shared/serving/endpoint-spec.ts';
import type { EndpointStatus } from '../shared/serving/status.ts';

/** The native API's JSON, as far as the commands read it. Times are RFC 3339 in UTC. */
export interface List<T> {
  readonly items: readonly T[];
  readonly nextCursor?: string;
}

export interface Workspace {
  readonly name: string;
  readonly description: string;
  readonly createdAt: string;
  readonly createdBy: string;
}

export interface Model {
  readonly id: string;
  readonly workspace: string;
  readonly name: string;
  readonly description: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
}

export interface Source {
  readonly via: string;
  readonly run?: string;
  readonly dataset?: string;
  readonly codeCommit?: string;
  readonly uri?: string;
  readonly runLink?: string;
  readonly loggedModel?: string;
  readonly lineage?: {
    readonly runName?: string;
    readonly params?: Readonly<Record<string, string>>;
    readonly metrics?: Readonly<Record<string, number | string>>;
    readonly omitted?: number;
    readonly environment?: readonly string[];
    readonly inputExample?: string;
  };
}

export interface Version {
  readonly workspace: string;
  readonly model: string;
  readonly version: number;
  readonly status: 'PENDING' | 'READY' | 'FAILED';
  readonly commit?: string;
  readonly tag: string;
  readonly author: string;
  readonly pushedBy?: string;
  readonly message: string;
  readonly description: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly fileCount: number;
  readonly size: number;
  readonly framework?: string;
  readonly format?: string;
  readonly entry?: string;
  readonly signature?: Signature;
  readonly source: Source;
  readonly approval: {
    readonly state: string;
    readonly by?: string;
    readonly at?: string;
    readonly comment?: string;
  };
  readonly failure?: string;
  readonly reference?: string;
  readonly createdAt: string;
  readonly readyAt?: string;
}

export interface Artifact {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
  readonly mode?: string;
}

export interface SignedFile {
  readonly url: string;
  readonly size: number;
  readonly sha256: string;
  readonly expiresAt: string;
}

export interface Upload {
  readonly id: string;
  readonly version: number;
  readonly state: 'OPEN' | 'COMPLETED' | 'ABORTED';
  readonly files: readonly UploadFile[];
}

export interface UploadFile {
  readonly path: string;
  readonly size: number;
  readonly partSize: number;
  readonly parts: number;
  readonly done: boolean;
  readonly received: readonly number[];
}

export interface SignedPart {
  readonly number: number;
  readonly size: number;
  readonly url: string;
}

export interface Alias {
  readonly alias: string;
  readonly version: number;
  readonly movedAt: string;
  readonly movedBy: string;
}

/** One alias, with the version that it names. */
export interface AliasAnswer extends Alias {
  readonly modelVersion: Version;
}

export interface AliasMove {
  readonly seq: number;
  readonly from: number | null;
  readonly to: number | null;
  readonly at: string;
  readonly by: string;
  readonly reason?: string;
}

export interface Endpoint {
  readonly workspace: string;
  readonly name: string;
  readonly generation: number;
  readonly spec: EndpointSpec;
  readonly status: Timed<EndpointStatus>;
  readonly url: string;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
}

export interface Alarm {
  readonly name: string;
  readonly state: 'OK' | 'ALARM' | 'INSUFFICIENT_DATA';
  readonly stateReason: string;
  readonly stateUpdatedAt: string;
}

export interface LogLine {
  readonly at: string;
  readonly revision: number;
  readonly replica: string;
  readonly message: string;
}

/** The event as it was hashed: `at` in milliseconds; a server may say it in RFC 3339 as well. */
export type AuditEntry = Omit<AuditEvent, 'at'> & { readonly at: number | string };

/** What `GET …/events` tells. */
export interface WorkspaceEvent {
  readonly id: string;
  readonly type: string;
  readonly resource: string;
  readonly at: string;
  readonly data: { readonly subject: string; readonly reason?: string };
}

export interface AuditVerification {
  readonly ok: boolean;
  readonly chains: number;
  readonly events: number;
  readonly problems: readonly { readonly chain: string; readonly seq: number; readonly problem: string }[];
}

export interface Whoami {
  readonly principal: string;
  /** Of a token of Cairn's. */
  readonly tokenId?: string;
  /** Who signed the token, where it is not Cairn's. */
  readonly issuer?: string;
  readonly expiresAt?: string;
  readonly grants: readonly Grant[];
}

export interface Token {
  readonly id: string;
  readonly principal: string;
  readonly grants: readonly Grant[];
  readonly description?: string;
  readonly createdAt: string;
  readonly expiresAt?: string;
  readonly revokedAt?: string;
}

/** A record with its times (milliseconds) as the API says them. */
type Timed<T> = T extends readonly (infer Item)[]
  ? readonly Timed<Item>[]
  : T extends object
    ? {
        readonly [Key in keyof T]: Key extends 'at' | 'phaseSince' | 'lastTransitionTime'
          ? string
          : Timed<T[Key]>;
      }
    : T;

/** A run, experiment or logged model that was deleted and is still there. */
export interface Deleted {
  readonly kind: 'run' | 'experiment' | 'logged-model';
  readonly id: string;
  readonly name: string;
  readonly experiment: string;
  readonly deletedAt: string;
}

export interface Purged extends Deleted {
  readonly dryRun: boolean;
  readonly runs: number;
  readonly loggedModels: number;
  readonly files: number;
  readonly bytes: number;
  readonly complete: boolean;
}

export interface Webhook {
  readonly id: string;
  readonly workspace: string;
  readonly name: string;
  readonly description: string;
  readonly url: string;
  readonly events: readonly string[];
  readonly status: 'ACTIVE' | 'DISABLED';
  readonly signed: boolean;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface WebhookDelivery {
  readonly id: string;
  readonly event: string;
  readonly at: string;
  readonly state: 'DELIVERED' | 'WAITING' | 'FAILED';
  readonly attempts: number;
  readonly lastAttemptAt: string;
  readonly why?: string;
  readonly nextAttemptAt?: string;
}

export interface WebhookTest {
  readonly delivered: boolean;
  readonly status?: number;
  readonly body?: string;
  readonly error?: string;
}
