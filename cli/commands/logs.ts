import type { Command } from 'commander';
import type { List, LogLine } from '../api.ts';
import { usageError } from '../cli-error.ts';
import { type Context, run } from '../context.ts';
import { pause } from '../http.ts';
import { endpointPath, parseEndpointRef } from '../model-ref.ts';
import { plain, when } from '../output.ts';
import { wholeNumber } from './option.ts';

interface LogsOptions {
  readonly revision?: number;
  readonly limit: number;
  readonly follow?: boolean;
}

const FOLLOW_EVERY = 1000;
const FOLLOW_LIMIT = 1000;

export function logs(program: Command): void {
  program
    .command('logs')
    .description('show what an endpoint’s replicas say')
    .argument('<endpoint>')
    .option('--revision <n>', 'only this revision', wholeNumber(1))
    .option('--limit <n>', 'the newest so many lines', wholeNumber(1), 100)
    .option('-f, --follow', 'go on with new lines until Ctrl-C')
    .addHelpText(
      'after',
      '\nExamples:\n  cairn logs digits\n  cairn logs digits --revision 3 --limit 500\n  cairn logs digits --follow',
    )
    .action(run(logsVerb));
}

async function logsVerb(context: Context, name: string, options: LogsOptions): Promise<void> {
  const { client, output, signal } = context;
  const { revision, limit, follow } = options;
  if (follow && output.json)
    throw usageError('--follow goes on and on, --json is one document.', 'Leave one of them out.');
  const ref = parseEndpointRef(name, context.workspace);
  const read = (count: number) =>
    client.get<List<LogLine>>(`${endpointPath(ref)}/logs`, { revision, limit: count });
  const list = await read(Math.min(limit, FOLLOW_LIMIT));
  if (!follow) {
    const none = `No log lines of ${ref.endpoint} yet. \`cairn status ${ref.endpoint}\` tells what runs.`;
    return output.result(list, () => list.items.map(lineText).join('\n') || none);
  }
  let seen = list.items;
  for (const line of seen) output.line(lineText(line));
  for (;;) {
    await pause(FOLLOW_EVERY, signal);
    const { items } = await read(FOLLOW_LIMIT);
    for (const line of newLines(seen, items)) output.line(lineText(line));
    seen = items;
  }
}

/** What of `now` comes after all of `before`: both are the newest lines, first to last. */
export function newLines(before: readonly LogLine[], now: readonly LogLine[]): readonly LogLine[] {
  const last = before.at(-1);
  if (!last) return now;
  const same = (a: LogLine | undefined, b: LogLine) =>
    a?.at === b.at && a.revision === b.revision && a.replica === b.replica && a.message === b.message;
  for (let end = now.length; end > 0; end--) {
    const reach = Math.min(end, before.length);
    const overlap = now.slice(end - reach, end);
    if (overlap.every((line, at) => same(before[before.length - reach + at], line))) return now.slice(end);
  }
  return now;
}

const lineText = ({ at, revision, replica, message }: LogLine) =>
  `${when(at)} r${revision} ${plain(replica)} ${plain(message)}`;
