import type { Registry } from 'prom-client';
import type { HousekeepingFailures } from './housekeeping.ts';

/** The process' own metrics in Prometheus' text format. The library is loaded when they are first asked for. */
export function processMetrics(failures: () => HousekeepingFailures): () => Promise<string> {
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
          this.set(failures().cleanUp);
        },
      });
      new Gauge({
        name: 'cairn_checkpoint_failures',
        help: 'Workspaces whose audit checkpoint could not be signed the last time: the log tells which and why.',
        registers: [made],
        collect() {
          this.set(failures().checkpoints);
        },
      });
      return made;
    });
    return (await registry).metrics();
  };
}
