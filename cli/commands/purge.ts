import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { Deleted, Purged } from '../api.ts';
import { hasCode } from '../cli-error.ts';
import { type Client, path } from '../client.ts';
import { type Context, run } from '../context.ts';
import { bytes, plural, when } from '../output.ts';
import { requireConsent } from '../prompt.ts';
import { table } from '../table.ts';
import { repeated } from './option.ts';

interface PurgeOptions {
  readonly run?: readonly string[];
  readonly experiment?: readonly string[];
  readonly loggedModel?: readonly string[];
  readonly olderThan?: number;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly reason?: string;
}

type Target = Pick<Deleted, 'kind' | 'id'>;

const LIMIT = 1_000_000;

export function purge(program: Command): void {
  program
    .command('purge')
    .description('remove deleted MLflow runs, experiments and logged models for good')
    .option('--run <id>', 'this deleted run (repeatable)', repeated)
    .option('--experiment <id>', 'this deleted experiment with all that is in it (repeatable)', repeated)
    .option('--logged-model <id>', 'this deleted logged model (repeatable)', repeated)
    .option('--older-than <time>', 'only what was deleted so long ago: 30d, 1d12h', duration)
    .option('--dry-run', 'only tell what would go')
    .option('-y, --yes', 'ask nothing')
    .option('--reason <text>', 'why, for the audit trail')
    .addHelpText(
      'after',
      '\nWithout --run, --experiment and --logged-model, all that was deleted in the workspace. Model versions that were made of it keep their bytes.\n\nExamples:\n  cairn purge --dry-run\n  cairn purge --older-than 30d --yes\n  cairn purge --run 8d0de09ed48dba7256f7bf7f491ac2c7',
    )
    .action(run(purgeVerb));
}

async function purgeVerb(context: Context, options: PurgeOptions): Promise<void> {
  const { client, output, workspace } = context;
  const { olderThan, dryRun = false, reason } = options;
  const deletedBefore = olderThan === undefined ? undefined : new Date(Date.now() - olderThan).toISOString();
  const base = path`/api/v1/workspaces/${workspace}/deleted`;
  const wanted = named(options);
  const targets = wanted ?? (await client.list<Deleted>(base, { deletedBefore }, LIMIT)).items;
  if (!dryRun && targets.length > 0)
    await requireConsent(`Remove ${countsText(targets)} for good?`, options.yes);
  const items: Purged[] = [];
  // An experiment takes those with it that are in it: they are gone when their turn comes.
  const ordered = targets.toSorted(
    (a, b) => Number(b.kind === 'experiment') - Number(a.kind === 'experiment'),
  );
  const taken = new Set<string>();
  for (const target of ordered) {
    if ('experiment' in target && taken.has((target as Deleted).experiment)) continue;
    let purged: Purged;
    try {
      purged = await purgeOne(client, base, target, { dryRun, deletedBefore, reason });
    } catch (error) {
      // Restored since it was listed, or an experiment with a run that was.
      if (wanted || !hasCode(error, 'NOT_DELETED')) throw error;
      output.note(`The ${target.kind} ${target.id} stays: ${error.message}`);
      continue;
    }
    items.push(purged);
    if (purged.kind === 'experiment') taken.add(purged.id);
  }
  const sum = (name: 'runs' | 'loggedModels' | 'files' | 'bytes') =>
    items.reduce((total, item) => total + item[name], 0);
  const totals = {
    experiments: taken.size,
    runs: sum('runs'),
    loggedModels: sum('loggedModels'),
    files: sum('files'),
    bytes: sum('bytes'),
  };
  output.result({ dryRun, ...totals, items }, () => report(items, totals, dryRun));
}

/** Those that the options name; undefined where they name none. */
function named({ run = [], experiment = [], loggedModel = [] }: PurgeOptions): Target[] | undefined {
  const targets: Target[] = [
    ...experiment.map((id) => ({ kind: 'experiment' as const, id })),
    ...run.map((id) => ({ kind: 'run' as const, id })),
    ...loggedModel.map((id) => ({ kind: 'logged-model' as const, id })),
  ];
  return targets.length === 0 ? undefined : targets;
}

/** Asks again as long as the server has more of it to remove. */
async function purgeOne(
  client: Client,
  base: string,
  { kind, id }: Target,
  body: { dryRun: boolean; deletedBefore: string | undefined; reason: string | undefined },
): Promise<Purged> {
  const figures = { runs: 0, loggedModels: 0, files: 0, bytes: 0 };
  for (;;) {
    const part = await client.post<Purged>(`${base}${path`/${kind}/${id}/purge`}`, body);
    for (const name of ['runs', 'loggedModels', 'files', 'bytes'] as const) figures[name] += part[name];
    if (part.complete || body.dryRun) return { ...part, ...figures };
  }
}

interface Totals {
  readonly experiments: number;
  readonly runs: number;
  readonly loggedModels: number;
  readonly files: number;
  readonly bytes: number;
}

function report(items: readonly Purged[], totals: Totals, dryRun: boolean): string {
  if (items.length === 0) return 'Nothing was deleted that could be purged.';
  const rows = items.map(
    ({ kind, name, id, deletedAt, runs, loggedModels, files, bytes: size, complete }) => [
      kind,
      name,
      id,
      when(deletedAt),
      kind === 'experiment' ? `${plural(runs, 'run')}, ${plural(loggedModels, 'logged model')}` : undefined,
      files,
      `${complete ? '' : 'at least '}${bytes(size)}`,
    ],
  );
  const { experiments, runs, loggedModels, files, bytes: size } = totals;
  const what = [
    ...(experiments === 0 ? [] : [plural(experiments, 'experiment')]),
    ...(runs === 0 ? [] : [plural(runs, 'run')]),
    ...(loggedModels === 0 ? [] : [plural(loggedModels, 'logged model')]),
  ].join(', ');
  return `${table(['KIND', 'NAME', 'ID', 'DELETED', 'WITH', 'FILES', 'SIZE'], rows, { cut: ['NAME'], drop: ['WITH', 'FILES', 'DELETED'] })}\n${
    dryRun ? 'Would remove' : 'Removed'
  } ${what || 'nothing'} with ${plural(files, 'file')} of ${bytes(size)}.`;
}

function countsText(targets: readonly Target[]): string {
  const count = (kind: Deleted['kind']) => targets.filter((target) => target.kind === kind).length;
  const texts = [
    [count('experiment'), 'experiment'],
    [count('run'), 'run'],
    [count('logged-model'), 'logged model'],
  ] as const;
  return texts
    .filter(([number]) => number > 0)
    .map(([number, noun]) => plural(number, noun))
    .join(', ');
}

const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 } as const;

/** `1d2h3m4s`, as `mlflow gc` takes it → milliseconds. */
function duration(text: string): number {
  if (!/^(?=.)([\d.]+d)?([\d.]+h)?([\d.]+m)?([\d.]+s)?$/.test(text)) throw invalidDuration();
  const parts = [...text.matchAll(/([\d.]+)([dhms])/g)];
  const ms = parts.reduce(
    (sum, [, number, unit]) => sum + Number(number) * UNITS[unit as keyof typeof UNITS],
    0,
  );
  if (!Number.isFinite(ms) || ms > Date.now()) throw invalidDuration();
  return ms;
}

const invalidDuration = () => new InvalidArgumentError('It must be a time such as 30d, 12h or 1d12h30m.');
