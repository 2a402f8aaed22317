import { Agent } from 'node:http';

/** A ready replica's address, with its connections and what is under way on them. */
export class Upstream {
  readonly host: string;
  readonly port: number;
  readonly agent = new Agent({ keepAlive: true });
  inFlight = 0;
  #whenIdle: (() => void)[] = [];

  constructor(host: string, port: number) {
    this.host = host;
    this.port = port;
  }

  acquire(): void {
    this.inFlight += 1;
  }

  release(): void {
    this.inFlight -= 1;
    if (this.inFlight > 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** Resolves when nothing is under way. */
  idle(): Promise<void> {
    return this.inFlight === 0 ? Promise.resolve() : new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  /** Ends the connections that are kept for later. */
  close(): void {
    this.agent.destroy();
  }
}

/** A revision as the gateway sees it. */
export interface RoutedRevision {
  readonly revision: number;
  readonly version: number;
  /** Percent of new requests. */
  readonly weight: number;
  /** Replicas that take requests. */
  readonly upstreams: readonly Upstream[];
}

/**
 * A revision by weight among those that can take the request, and its least busy replica. A revision whose replicas are
 * all down or tried leaves its share to the others.
 * @param random 0 ≤ random < 1
 */
export function pick(
  revisions: readonly RoutedRevision[],
  random: number,
  tried?: ReadonlySet<Upstream>,
): { revision: RoutedRevision; upstream: Upstream } | undefined {
  let total = 0;
  for (const revision of revisions) if (leastBusy(revision, tried)) total += revision.weight;
  let left = random * total;
  for (const revision of revisions) {
    if (revision.weight <= 0) continue;
    const upstream = leastBusy(revision, tried);
    if (!upstream) continue;
    left -= revision.weight;
    if (left < 0) return { revision, upstream };
  }
  return undefined;
}

function leastBusy(
  { upstreams }: RoutedRevision,
  tried: ReadonlySet<Upstream> | undefined,
): Upstream | undefined {
  let best: Upstream | undefined;
  for (const upstream of upstreams) {
    if (!tried?.has(upstream) && (!best || upstream.inFlight < best.inFlight)) best = upstream;
  }
  return best;
}
