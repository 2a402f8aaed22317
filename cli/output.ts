import stringWidth from 'string-width';
import type { Problem } from './cli-error.ts';

/** What a command says: to people, or with `--json` exactly one document to programs. */
export interface Output {
  readonly json: boolean;
  readonly quiet: boolean;
  /** The command's result, on stdout. */
  result(document: unknown, text: () => string): void;
  /** A line as it comes, on stdout, for commands that go on; not with `--json`. */
  line(text: string): void;
  /** Something to know, on stderr; not with `--json` or `--quiet`. */
  note(text: string): void;
  problem(problem: Problem): void;
}

export function makeOutput(options: { json: boolean; quiet: boolean }): Output {
  const { json, quiet } = options;
  const toStdout = (text: string) =>
    void process.stdout.write(text === '' || text.endsWith('\n') ? text : `${text}\n`);
  return {
    json,
    quiet,
    result: (document, text) => toStdout(json ? JSON.stringify(document, undefined, 2) : text()),
    line: (text) => {
      if (!json) toStdout(text);
    },
    note: (text) => {
      if (!json && !quiet) process.stderr.write(`${text}\n`);
    },
    problem: (problem) =>
      void process.stderr.write(json ? `${JSON.stringify(problem)}\n` : describeProblem(problem)),
  };
}

function describeProblem({ code, detail, fix, field, requestId }: Problem): string {
  const about = [
    code,
    ...(field === undefined ? [] : [`field ${field}`]),
    ...(requestId === undefined ? [] : [`request ${requestId}`]),
  ];
  const lines = [`${paint('red', 'cairn:', process.stderr)} ${plain(detail)}`];
  if (fix !== undefined) lines.push(`  ${plain(fix)}`);
  if (code !== 'USAGE') lines.push(paint('dim', `  ${plain(about.join(' · '))}`, process.stderr));
  return `${lines.join('\n')}\n`;
}

const COLORS = { red: 31, green: 32, yellow: 33, bold: 1, dim: 2 } as const;

/** In colour on a terminal, unless NO_COLOR is set (no-color.org). */
export function paint(
  color: keyof typeof COLORS,
  text: string,
  stream: NodeJS.WriteStream = process.stdout,
): string {
  const { NO_COLOR, TERM } = process.env;
  return !stream.isTTY || NO_COLOR || TERM === 'dumb' ? text : `\u001b[${COLORS[color]}m${text}\u001b[0m`;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: what could steer a terminal is what is looked for
const STEERING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** Text of others, made harmless for a terminal: control characters and reversals become U+FFFD. */
export const plain = (text: string) => text.replace(STEERING, '\ufffd');

/** On one line of at most `width` columns. */
export function shorten(text: string, width: number): string {
  const line = plain(text).replace(/\s+/g, ' ').trim();
  return stringWidth(line) <= width ? line : cutTo(line, width);
}

/** The beginning of a line, with `…` in the last of its columns. */
export function cutTo(line: string, width: number): string {
  let kept = '';
  for (const { segment } of new Intl.Segmenter().segment(line)) {
    if (stringWidth(kept + segment) >= width) break;
    kept += segment;
  }
  return `${kept.trimEnd()}…`;
}

/** `name: value` lines that line up; those without a value are left out. */
export function fields(pairs: readonly (readonly [string, string | number | undefined])[]): string {
  const shown = pairs.filter(([, value]) => value !== undefined && value !== '');
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown
    .map(
      ([name, value]) =>
        `${name.padEnd(width)}  ${plain(String(value)).replace(/\n/g, `\n${' '.repeat(width + 2)}`)}`,
    )
    .join('\n');
}

/** `1.5 MB`: decimal units, as disks and networks have them. */
export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  const units = ['kB', 'MB', 'GB', 'TB', 'PB'];
  let value = count;
  let unit = -1;
  while (value >= 999.5) {
    value /= 1000;
    unit++;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** A time for people: local, to the second. */
export function when(time: string | number | undefined): string | undefined {
  if (time === undefined) return undefined;
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return String(time);
  const two = (part: number) => String(part).padStart(2, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`;
}

/** `k=v, k=v`. */
export const pairsText = (record: Readonly<Record<string, unknown>>) =>
  Object.entries(record)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');

/** `1 file`, `2 files`. */
export const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;
