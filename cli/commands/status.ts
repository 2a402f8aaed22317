import type { Command } from 'commander';
import type { Alarm, Endpoint, List } from '../api.ts';
import { usageError } from '../cli-error.ts';
import { path } from '../client.ts';
import { type Context, run } from '../context.ts';
import { alarmsOf, endpointTable, endpointText } from '../endpoint-text.ts';
import { pause } from '../http.ts';
import { endpointPath, parseEndpointRef } from '../model-ref.ts';

const WATCH_EVERY = 1000;

export function status(program: Command): void {
  program
    .command('status')
    .description('list the endpoints, or show one with traffic, alarms, conditions and its last rollback')
    .argument('[endpoint]')
    .option('--watch', 'show it again whenever it changes, until Ctrl-C')
    .addHelpText(
      'after',
      '\nExamples:\n  cairn status\n  cairn status digits --watch\n  cairn status digits --json',
    )
    .action(
      run(async (context, name: string | undefined, options: { watch?: boolean }) => {
        const show = name === undefined ? list(context) : one(context, name);
        if (!options.watch) return context.output.result(...(await show()));
        if (context.output.json)
          throw usageError('--watch goes on and on, --json is one document.', 'Ask again and again instead.');
        await watchText(context, async () => (await show())[1]());
      }),
    );
}

type Shown = [document: unknown, text: () => string];

const alarmsIn = (context: Context, workspace: string) =>
  context.client.get<List<Alarm>>(path`/api/v1/workspaces/${workspace}/alarms`);

function list(context: Context) {
  const { client, workspace } = context;
  return async (): Promise<Shown> => {
    const endpoints = await client.list<Endpoint>(path`/api/v1/workspaces/${workspace}/endpoints`, {}, 1000);
    if (endpoints.items.length === 0) {
      return [
        endpoints,
        () => `No endpoints in workspace "${workspace}" yet. Make one: \`cairn deploy <model>@<version>\`.`,
      ];
    }
    if (context.output.json) return [endpoints, () => ''];
    const { items } = await alarmsIn(context, workspace);
    return [endpoints, () => endpointTable(endpoints.items, items)];
  };
}

function one(context: Context, name: string) {
  const ref = parseEndpointRef(name, context.workspace);
  return async (): Promise<Shown> => {
    const endpoint = await context.client.get<Endpoint>(endpointPath(ref));
    const alarms = alarmsOf(endpoint, (await alarmsIn(context, ref.workspace)).items);
    return [{ ...endpoint, alarms }, () => endpointText(endpoint, alarms)];
  };
}

async function watchText({ output, signal }: Context, text: () => Promise<string>): Promise<void> {
  let shown = '';
  for (;;) {
    const now = await text();
    if (now !== shown) output.line(process.stdout.isTTY ? `\u001b[H\u001b[2J${now}` : `${now}\n`);
    shown = now;
    await pause(WATCH_EVERY, signal);
  }
}
