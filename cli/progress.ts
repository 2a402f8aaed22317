import type { Output } from './output.ts';
import { bytes } from './output.ts';

/** How far a transfer is. */
export interface Progress {
  add(count: number): void;
  /** Takes the bar away, so that other lines can be written. */
  end(): void;
}

/** How far some work is, as it tells itself. */
export interface Work {
  readonly label: string;
  /** From 0 to 1; undefined while nobody knows how much there is. */
  share(): number | undefined;
  /** What is done, after that many seconds. */
  amounts(seconds: number): string;
}

export interface Bar {
  /** Something was done: the bar is drawn if it is time. */
  moved(): void;
  end(): void;
}

const SILENT: Bar = { moved: () => undefined, end: () => undefined };
const BAR_WIDTH = 30;
const REDRAW_EVERY = 100;
const LINE_EVERY = 5000;

/** The bar of a transfer of so many bytes. */
export function startProgress(output: Output, label: string, total: number): Progress {
  let done = 0;
  const amounts = (seconds: number) =>
    `${bytes(done)} of ${bytes(total)}${seconds > 0.5 ? `  ${bytes(done / seconds)}/s` : ''}`;
  const bar = total === 0 ? SILENT : startBar(output, { label, share: () => done / total, amounts });
  return {
    add(count) {
      done += count;
      bar.moved();
    },
    end: bar.end,
  };
}

/** A bar on a terminal's stderr; elsewhere a line now and then; nothing with `--json` or `--quiet`. */
export function startBar(output: Output, { label, share: shareOf, amounts }: Work): Bar {
  if (output.json || output.quiet) return SILENT;
  const stream = process.stderr;
  const bar = stream.isTTY && process.env.TERM !== 'dumb';
  const every = bar ? REDRAW_EVERY : LINE_EVERY;
  const started = Date.now();
  let drawn = started;
  const draw = (now: number) => {
    const known = shareOf();
    const share = Math.min(1, known ?? 0);
    const percent = `${Math.floor(share * 100)}`;
    const seconds = (now - started) / 1000;
    const done = amounts(seconds);
    if (!bar)
      return stream.write(known === undefined ? `${label}: ${done}\n` : `${label}: ${percent} % (${done})\n`);
    const filled = Math.round(share * BAR_WIDTH);
    const line =
      known === undefined
        ? `${label}  ${done}`
        : `${label} [${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}] ${percent.padStart(3)} %  ${done}${left(seconds, share)}`;
    return stream.write(`\r\u001b[K${line.slice(0, (stream.columns ?? 80) - 1)}`);
  };
  return {
    moved() {
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

const left = (seconds: number, share: number) =>
  seconds > 0.5 && share > 0 && share < 1 ? `  ${duration((seconds / share) * (1 - share))} left` : '';

function duration(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3600) return `${Math.ceil(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
