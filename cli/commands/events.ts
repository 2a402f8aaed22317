import type { Command } from 'commander';
import { createParser } from 'eventsource-parser';
import type { WorkspaceEvent } from '../api.ts';
import { CliError, EXIT, usageError } from '../cli-error.ts';
import { path } from '../client.ts';
import { type Context, run } from '../context.ts';
import { pause } from '../http.ts';
import { plain, shorten, when } from '../output.ts';
import { wholeNumber } from './option.ts';

interface EventsOptions {
  readonly after?: string;
  readonly limit?: number;
}

/** Until the server says otherwise. */
const RETRY_MS = 3000;

export function events(program: Command): void {
  program
    .command('events')
    .description('tell what happens, as it happens, until Ctrl-C')
    .option('--after <id>', 'begin with what has happened since the event of this id')
    .option('--limit <n>', 'end after so many', wholeNumber(1))
    .addHelpText(
      'after',
      '\nA connection that ends is made again, and nothing is left out. With --json it needs --limit.\n\nExamples:\n  cairn events\n  cairn events --limit 1 --json',
    )
    .action(run(eventsVerb));
}

async function eventsVerb(context: Context, { after, limit = Infinity }: EventsOptions): Promise<void> {
  const { output } = context;
  if (output.json && limit === Infinity)
    throw usageError('Events go on and on, --json is one document.', 'Add --limit.');
  const items: WorkspaceEvent[] = [];
  let left = limit;
  for await (const event of following(context, after)) {
    if (output.json) items.push(event);
    else output.line(eventText(event));
    if (--left === 0) break;
  }
  if (output.json) output.result({ items }, () => '');
}

/** Cut on a terminal only. */
const REASON_WIDTH = process.stdout.isTTY ? 80 : Number.POSITIVE_INFINITY;

const eventText = ({ at, type, data: { subject, reason } }: WorkspaceEvent) =>
  [
    when(at),
    plain(type),
    plain(subject),
    ...(reason === undefined ? [] : [shorten(reason, REASON_WIDTH)]),
  ].join('  ');

/** The workspace's events from now on, or after one of them; a connection that ends is made again from the last one on. */
async function* following(
  { client, workspace, signal }: Context,
  after: string | undefined,
): AsyncGenerator<WorkspaceEvent> {
  let last = after;
  let retry = RETRY_MS;
  for (let reached = false; ; await pause(retry, signal)) {
    const told: WorkspaceEvent[] = [];
    const parser = createParser({
      onId: (id) => {
        last = id;
      },
      onRetry: (milliseconds) => {
        retry = milliseconds;
      },
      onEvent: ({ data }) => {
        told.push(JSON.parse(data) as WorkspaceEvent);
      },
    });
    try {
      const headers = last === undefined ? undefined : { 'last-event-id': last };
      const answer = await client.stream(path`/api/v1/workspaces/${workspace}/events`, headers);
      reached = true;
      for await (const text of answer.setEncoding('utf8')) {
        parser.feed(text as string);
        yield* told.splice(0);
      }
    } catch (error) {
      signal.throwIfAborted();
      // A server that was there and is gone is being restarted; what it refuses it refuses again.
      const refused = error instanceof CliError && error.exitCode !== EXIT.unreachable;
      if (!reached || refused) throw error;
    }
  }
}
