/**
 * Runs revisions of endpoints in isolation and splits an endpoint's traffic between them, step by step as it is told.
 * Every verb is idempotent and returns as soon as the platform has taken the order; `observe` says what came of it.
 */
export interface SteppedPlatform extends AnyPlatform {
  readonly kind: 'stepped';
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
}

/**
 * A platform that rolls out by itself: it is told which revision the endpoint is to run and by what strategy, starts
 * it, moves the traffic, watches alarms, and goes back when they or its replicas fail.
 * Every verb is idempotent, takes up what a crash left undone, and returns as soon as the platform has taken the order.
 */
export interface RolloutPlatform extends AnyPlatform {
  readonly kind: 'rollout';
  /** Begins to move the endpoint to the revision; another rollout that is under way gives way to it. */
  rollOut(order: RolloutOrder): Promise<void>;
  /** Has the rollout under way go back to where it came from. Does nothing when none is. */
  rollBack(endpoint: EndpointRef): Promise<void>;
  /** How many replicas the endpoint has: between the two the platform decides by load. */
  scale(endpoint: EndpointRef, replicas: ReplicaRange): Promise<void>;
  observe(endpoint: EndpointRef): Promise<RolloutObservation>;
}

export type ServingPlatform = SteppedPlatform | RolloutPlatform;

interface AnyPlatform {
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

interface RevisionTemplate extends EndpointRef {
  readonly revision: number;
  readonly model: string;
  readonly version: number;
  readonly files: readonly RevisionFile[];
  readonly resources: Resources;
}

export interface RevisionOrder extends RevisionTemplate {
  readonly replicas: number;
}

export interface RolloutOrder extends RevisionTemplate {
  readonly replicas: ReplicaRange;
  readonly strategy: TrafficStrategy;
  /** Alarms whose going to ALARM during the rollout is to undo it. */
  readonly alarms: readonly string[];
  /** What lets replicas ask for this revision's files, and nothing else: the same each time, and good while the revision is needed. */
  readonly filesToken: () => Promise<string>;
}

/** Equal for a fixed number. */
export interface ReplicaRange {
  readonly min: number;
  readonly max: number;
}

/** How traffic moves; times in seconds. While it bakes, the new revision has all traffic and the old one is still there. */
export type TrafficStrategy = { readonly bakeSeconds: number } & (
  | { readonly type: 'all-at-once' | 'blue-green' }
  | { readonly type: 'canary'; readonly canaryPercent: number; readonly canarySeconds: number }
  | { readonly type: 'linear'; readonly stepPercent: number; readonly stepSeconds: number }
);

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

export interface RolloutObservation extends PlatformObservation {
  /** As it is set; absent while nothing runs. */
  readonly replicas?: ReplicaRange;
  /** The newest rollout that the platform was told to make. */
  readonly rollout?: PlatformRollout;
}

export interface PlatformRollout {
  readonly revision: number;
  /** The revision before, which it goes back to. */
  readonly from?: number;
  /** `failed`: it ended neither at `revision` nor back at `from`. `succeeded`: it also finished its bake. */
  readonly phase: 'in-progress' | 'succeeded' | 'rolling-back' | 'rolled-back' | 'failed';
  /** Why it went back or failed. */
  readonly reason?: string;
  /** The alarm that made it go back. */
  readonly alarm?: string;
}

export interface RevisionObservation {
  readonly revision: number;
  /** Replicas asked for. */
  readonly desired: number;
  /** Replicas that answer ready. */
  readonly ready: number;
  /** What its replicas stand on is still being made; until then none of them can be late. */
  readonly preparing?: boolean;
  /** When that was made, milliseconds since the epoch, if it had to be. */
  readonly preparedAt?: number;
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
