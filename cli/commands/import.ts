import { type Command, Option } from 'commander';
import { usageError } from '../cli-error.ts';
import { type Context, onInterrupt, run } from '../context.ts';
import type { Import } from '../mlflow/import.ts';
import { importRegistered } from '../mlflow/registered.ts';
import { mlflowServer } from '../mlflow/server.ts';
import { importTracked } from '../mlflow/tracked.ts';
import { bytes } from '../output.ts';
import { parseUrl } from '../settings.ts';

const EXAMPLES = '\nExamples:\n  cairn import mlflow --from http://mlflow.example:5000';

export function importation(program: Command): void {
  program
    .command('import')
    .description('bring what another server has')
    .addHelpText('after', EXAMPLES)
    .command('mlflow')
    .description('registered models, versions, aliases, tags, runs and artifacts of an MLflow server')
    .addOption(new Option('--from <url>', 'address of the MLflow server').makeOptionMandatory())
    .option('--registry-only', 'no experiments and runs: versions of runs become references')
    .addHelpText(
      'after',
      `
Started again after an interruption it goes on where it was. The other server is only read; MLFLOW_TRACKING_TOKEN, or
MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, are sent to it.
${EXAMPLES}`,
    )
    .action(run(importVerb));
}

async function importVerb(
  { settings, output, signal, workspace }: Context,
  options: { readonly from: string; readonly registryOnly?: boolean },
): Promise<void> {
  const from = parseUrl(options.from, '--from');
  if (from.href === settings.url.href)
    throw usageError('--from is the server that is imported into.', 'Name another one.');
  const counts: Record<string, number> = {};
  const problems: string[] = [];
  const show = progressLine(output.json || output.quiet);
  const job: Import = {
    from: mlflowServer({ url: from, authorization: sourceCredentials(process.env), signal }),
    to: mlflowServer({
      url: settings.url,
      authorization: settings.token && `Bearer ${settings.token}`,
      workspace,
      signal,
    }),
    signal,
    experiments: new Map(),
    runs: new Map(),
    loggedModels: new Map(),
    count(what, by = 1) {
      counts[what] = (counts[what] ?? 0) + by;
      show(summaryOf(counts));
    },
    problem(sentence) {
      problems.push(sentence);
    },
  };
  onInterrupt('Interrupted. The same command goes on where it was.');
  if (!options.registryOnly) await importTracked(job);
  await importRegistered(job);
  show('');
  output.result({ from: from.href, counts, problems }, () =>
    [
      `Imported ${summaryOf(counts) || 'nothing: there is nothing new'}.`,
      ...problems.map((sentence) => `- ${sentence}`),
    ].join('\n'),
  );
}

function sourceCredentials(env: NodeJS.ProcessEnv): string | undefined {
  if (env.MLFLOW_TRACKING_TOKEN) return `Bearer ${env.MLFLOW_TRACKING_TOKEN}`;
  if (env.MLFLOW_TRACKING_USERNAME === undefined) return undefined;
  const pair = `${env.MLFLOW_TRACKING_USERNAME}:${env.MLFLOW_TRACKING_PASSWORD ?? ''}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

const summaryOf = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts)
    .map(([what, count]) => (what === 'bytes' ? bytes(count) : `${count} ${what}`))
    .join(', ');

/** Says on a terminal how far it is; nobody knows beforehand how much there is. */
function progressLine(silent: boolean): (text: string) => void {
  const { stderr } = process;
  if (silent || !stderr.isTTY) return () => undefined;
  let drawn = 0;
  return (text) => {
    const now = Date.now();
    if (text !== '' && now - drawn < 100) return;
    drawn = now;
    stderr.write(`\r\u001b[K${text.slice(0, (stderr.columns ?? 80) - 1)}`);
  };
}
