/** Seconds; from a tenth of a millisecond to ten seconds. */
const SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];
const ROWS = [1, 2, 4, 8, 16, 32, 64, 128, 256];

interface Histogram {
  readonly bounds: readonly number[];
  readonly counts: number[];
  sum: number;
}

export interface Metrics {
  /** Counts an inference request by the status it was answered with. */
  request(status: number): void;
  /** Milliseconds that a request waited. */
  queued(milliseconds: number): void;
  /** Milliseconds that a run of the model took, and its rows where they are known. */
  ran(milliseconds: number, rows?: number): void;
  /** Prometheus's text exposition format 0.0.4. */
  text(waiting: number): string;
}

/** Prometheus metrics of one model server. `prom-client` would add 20 MB to each replica for these few. */
export function createMetrics(model: { name: string; version: string }): Metrics {
  const labels = `model="${escapeLabel(model.name)}",version="${escapeLabel(model.version)}"`;
  const requests = new Map<number, number>();
  const queue = histogram(SECONDS);
  const runs = histogram(SECONDS);
  const rows = histogram(ROWS);
  return {
    request: (status) => void requests.set(status, (requests.get(status) ?? 0) + 1),
    queued: (milliseconds) => observe(queue, milliseconds / 1000),
    ran(milliseconds, count) {
      observe(runs, milliseconds / 1000);
      if (count !== undefined) observe(rows, count);
    },
    text(waiting) {
      const { rss } = process.memoryUsage();
      const { user, system } = process.cpuUsage();
      return [
        head('cairn_requests_total', 'counter', 'Inference requests by the status answered.'),
        ...Array.from(
          requests,
          ([code, count]) => `cairn_requests_total{${labels},code="${code}"} ${count}\n`,
        ),
        histogramText('cairn_queue_seconds', 'Time that requests waited for the model.', labels, queue),
        histogramText('cairn_model_seconds', 'Time that one run of the model took.', labels, runs),
        histogramText('cairn_batch_rows', 'Rows of one run of the model.', labels, rows),
        head('cairn_requests_waiting', 'gauge', 'Requests that wait for the model.'),
        `cairn_requests_waiting{${labels}} ${waiting}\n`,
        head('process_resident_memory_bytes', 'gauge', 'Resident memory size in bytes.'),
        `process_resident_memory_bytes ${rss}\n`,
        head('process_cpu_seconds_total', 'counter', 'Total user and system CPU time spent in seconds.'),
        `process_cpu_seconds_total ${(user + system) / 1e6}\n`,
      ].join('');
    },
  };
}

function histogram(bounds: readonly number[]): Histogram {
  return { bounds, counts: new Array(bounds.length + 1).fill(0), sum: 0 };
}

function observe(into: Histogram, value: number): void {
  let bucket = 0;
  while (bucket < into.bounds.length && value > (into.bounds[bucket] as number)) bucket++;
  into.counts[bucket] = (into.counts[bucket] as number) + 1;
  into.sum += value;
}

function histogramText(
  name: string,
  help: string,
  labels: string,
  { bounds, counts, sum }: Histogram,
): string {
  let total = 0;
  const buckets = counts.map((count, n) => {
    total += count;
    return `${name}_bucket{${labels},le="${bounds[n] ?? '+Inf'}"} ${total}\n`;
  });
  return `${head(name, 'histogram', help)}${buckets.join('')}${name}_sum{${labels}} ${sum}\n${name}_count{${labels}} ${total}\n`;
}

const head = (name: string, type: string, help: string) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;

const escapeLabel = (text: string) => text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
