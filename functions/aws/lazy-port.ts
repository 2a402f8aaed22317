import { onDemand } from '../api/on-demand.ts';

type Verb = (...input: unknown[]) => Promise<unknown>;

/**
 * A port whose adapter is loaded and made at its first call, so that a function begins without what the request does not
 * need. Every verb of a port answers with a promise; what is no verb comes with `facts`. After a failure to open, the next
 * call opens anew.
 */
export function lazily<P extends object>(open: () => Promise<P>, facts: Partial<P> = {}): P {
  const port = onDemand(open);
  return new Proxy(facts as P, {
    get(known, name) {
      if (name in known) return known[name as keyof P];
      // Neither awaiting the port nor printing it is a call.
      if (typeof name === 'symbol' || name === 'then') return undefined;
      return async (...input: unknown[]) => {
        const made = await port();
        return (made[name as keyof P] as Verb).apply(made, input);
      };
    },
  });
}
