import { type Command, Option } from 'commander';
import { usageError } from '../cli-error.ts';
import { type Context, onInterrupt, run } from '../context.ts';
import type { Import } from '../mlflow/import.ts';
import { importRegistered } from '../mlflow/registered.ts';
import { mlflowServer } from '../mlflow/server.ts';
import { survey } from '../mlflow/survey.ts';
import { importTracked } from '../mlflow/tracked.ts';
import { bytes } from '../output.ts';
import { type Bar, startBar } from '../progress.ts';
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
  const how = { items: 0, of: 0, bytes: 0 };
  const silent = output.json || output.quiet;
  let bar: Bar = { moved: () => undefined, end: () => undefined };
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
      bar.moved();
    },
    done(items = 1) {
      how.items += items;
      bar.moved();
    },
    moved(count) {
      how.bytes += count;
      bar.moved();
    },
    problem(sentence) {
      problems.push(sentence);
    },
  };
  onInterrupt('The same command goes on where it was.');
  const registryOnly = options.registryOnly ?? false;
  try {
    if (!silent) {
      let seen = 0;
      const counting = startBar(output, {
        label: 'Counting',
        share: () => undefined,
        amounts: () => `${seen} runs and versions`,
      });
      const found = () => {
        seen++;
        counting.moved();
      };
      how.of = await survey(job.from, { registryOnly, found }).finally(counting.end);
      bar = startBar(output, {
        label: 'Importing',
        share: () => how.items / Math.max(1, how.of),
        amounts: (seconds) => amountsOf(how, seconds),
      });
    }
    if (!registryOnly) await importTracked(job);
    await importRegistered(job);
  } finally {
    bar.end();
  }
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

const amountsOf = (done: { items: number; of: number; bytes: number }, seconds: number) =>
  `${done.items} of ${done.of} runs and versions, ${bytes(done.bytes)}${
    done.bytes > 0 && seconds > 0.5 ? `  ${bytes(done.bytes / seconds)}/s` : ''
  }`;
