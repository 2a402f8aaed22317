import type { Output } from './output.ts';
import { bytes } from './output.ts';

/** How far a transfer is. */
export interface Progress {
  add(count: number): void;
  /** Takes the bar away, so that other lines can be written. */
  end(): void;
}

const SILENT: Progress = { add: () => undefined, end: () => undefined };
const BAR_WIDTH = 30;
const REDRAW_EVERY = 100;
const LINE_EVERY = 5000;

/** A bar on a terminal's stderr; elsewhere a line now and then; nothing with `--json` or `--quiet`. */
export function startProgress(output: Output, label: string, total: number): Progress {
  if (output.json || output.quiet || total === 0) return SILENT;
  const stream = process.stderr;
  const bar = stream.isTTY && process.env.TERM !== 'dumb';
  const every = bar ? REDRAW_EVERY : LINE_EVERY;
  const started = Date.now();
  let done = 0;
  let drawn = started;
  const draw = (now: number) => {
    const share = Math.min(1, done / total);
    const percent = `${Math.floor(share * 100)}`.padStart(3);
    const seconds = (now - started) / 1000;
    const rate = seconds > 0.5 ? `  ${bytes(done / seconds)}/s` : '';
    const amounts = `${bytes(done)} of ${bytes(total)}${rate}`;
    if (!bar) return stream.write(`${label}: ${percent.trim()} % (${amounts})\n`);
    const filled = Math.round(share * BAR_WIDTH);
    const left = rate && share > 0 && share < 1 ? `  ${duration((seconds / share) * (1 - share))} left` : '';
    const line = `${label} [${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}] ${percent} %  ${amounts}${left}`;
    return stream.write(`\r\u001b[K${line.slice(0, (stream.columns ?? 80) - 1)}`);
  };
  return {
    add(count) {
      done += count;
      const now = Date.now();
      if (now - drawn < every) return;
      drawn = now;
      draw(now);
    },
    end() {
      if (bar) stream.write('\r\u001b[K');
    },
  };
}

function duration(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3600) return `${Math.ceil(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
