/**
 * Runs revisions of endpoints in isolation and splits an endpoint's traffic between them.
 * Every verb is idempotent and returns as soon as the platform has taken the order; `observe` says what came of it.
 */
export interface ServingPlatform {
  /** Makes the revision run with that many replicas (start, or scale). */
  start(revision: RevisionOrder): Promise<void>;
  /** What runs now. An endpoint that nothing runs for has no revisions. */
  observe(endpoint: EndpointRef): Promise<PlatformObservation>;
  /**
   * Splits new requests by percent, which sum to 100 (or none at all: the endpoint then answers 503).
   * Requests under way stay where they are. @throws if a revision with weight has not been started
   */
  shift(endpoint: EndpointRef, weights: TrafficWeights): Promise<void>;
  /** Drains the revision's replicas, then ends them and removes what they left. */
  stop(endpoint: EndpointRef, revision: number): Promise<void>;
  /** Stops every revision and forgets the endpoint. */
  withdraw(endpoint: EndpointRef): Promise<void>;
  /** The newest lines first-to-last, at most `limit`. */
  logs(endpoint: EndpointRef, query: { revision?: number; limit: number }): Promise<LogLine[]>;
  /** Endpoints something runs for: what a controller that lost its memory cleans up. */
  list(): Promise<EndpointRef[]>;
}

export interface EndpointRef {
  readonly workspace: string;
  readonly endpoint: string;
}

export interface RevisionOrder extends EndpointRef {
  readonly revision: number;
  readonly model: string;
  readonly version: number;
  readonly files: readonly RevisionFile[];
  readonly resources: Resources;
  readonly replicas: number;
}

export interface RevisionFile {
  readonly path: string;
  readonly size: number;
  /** Lower-case hex; the model server refuses to load other bytes. */
  readonly sha256: string;
  /** Where the bytes are in the blob store. */
  readonly key: string;
}

export interface Resources {
  /** Cores; also the number of threads an inference may use. */
  readonly cpu: number;
  /** Resident memory of a replica; one that grows beyond it is ended and replaced. */
  readonly memoryMiB: number;
}

/** Revision number → percent of new requests, 0 to 100. */
export type TrafficWeights = Readonly<Record<number, number>>;

export interface PlatformObservation {
  readonly revisions: readonly RevisionObservation[];
  readonly weights: TrafficWeights;
}

export interface RevisionObservation {
  readonly revision: number;
  /** Replicas asked for. */
  readonly desired: number;
  /** Replicas that answer ready. */
  readonly ready: number;
  /** Starts that failed or processes that died since the revision was started. */
  readonly failures: number;
  /** The last failure in a sentence. */
  readonly lastFailure?: string;
}

export interface LogLine {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly revision: number;
  readonly replica: string;
  readonly message: string;
}
