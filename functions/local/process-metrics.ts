import type { Registry } from 'prom-client';

let registry: Promise<Registry> | undefined;

/** The process' own metrics in Prometheus' text format. The library is loaded when they are first asked for. */
export async function processMetrics(): Promise<string> {
  registry ??= import('prom-client').then(({ collectDefaultMetrics, Registry }) => {
    const made = new Registry();
    collectDefaultMetrics({ register: made });
    return made;
  });
  return (await registry).metrics();
}
