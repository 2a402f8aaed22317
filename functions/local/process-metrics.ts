import type { Registry } from 'prom-client';

/** The process' own metrics in Prometheus' text format. The library is loaded when they are first asked for. */
export function processMetrics(cleanUpFailures: () => number): () => Promise<string> {
  let registry: Promise<Registry> | undefined;
  return async () => {
    registry ??= import('prom-client').then(({ collectDefaultMetrics, Gauge, Registry }) => {
      const made = new Registry();
      collectDefaultMetrics({ register: made });
      new Gauge({
        name: 'cairn_clean_up_failures',
        help: 'Models that the last hourly clean-up could not clean up: the log tells which and why.',
        registers: [made],
        collect() {
          this.set(cleanUpFailures());
        },
      });
      return made;
    });
    return (await registry).metrics();
  };
}
