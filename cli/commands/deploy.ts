import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { EndpointSpecInput } from '../../shared/serving/endpoint-spec.ts';
import type { Endpoint } from '../api.ts';
import { hasCode, usageError } from '../cli-error.ts';
import { path } from '../client.ts';
import { type Context, onInterrupt, run } from '../context.ts';
import { readText } from '../http.ts';
import { endpointPath, parseEndpointRef, parseModelRef, resolveVersion } from '../model-ref.ts';
import { awaitCurrent } from '../rollout.ts';
import { amount, wholeNumber } from './option.ts';

interface DeployOptions {
  readonly endpoint?: string;
  readonly allAtOnce?: boolean;
  readonly canary?: number;
  readonly canarySeconds?: number;
  readonly bakeSeconds?: number;
  readonly replicas?: number;
  readonly cpu?: number;
  readonly memory?: number;
  readonly alarmPeriod?: number;
  readonly errorRate?: number;
  readonly p99?: number;
  readonly follow?: string;
  readonly requireApproval?: boolean;
  readonly spec?: string;
  readonly force?: boolean;
  readonly reason?: string;
  readonly wait: boolean;
  readonly timeout?: number;
}

export function deploy(program: Command): void {
  program
    .command('deploy')
    .description('put a version behind an endpoint, which is made if it is not there')
    .argument('[model@ref]', 'for example digits@3 or digits@champion; digits alone is its newest version')
    .option('--endpoint <name>', 'the endpoint; by default the model’s name in lower case')
    .option('--all-at-once', 'move all traffic at once')
    .option('--canary <percent>', 'give the new version this share of the traffic first', amount)
    .option('--canary-seconds <n>', 'for so long', wholeNumber(0))
    .option(
      '--bake-seconds <n>',
      'watch it with all traffic for so long before it counts as good',
      wholeNumber(0),
    )
    .option('--replicas <n>', 'processes that answer', wholeNumber(1))
    .option('--cpu <cores>', 'cores of each', amount)
    .option('--memory <MiB>', 'memory of each', wholeNumber(64))
    .option(
      '--alarm-period <seconds>',
      'period of both alarms: 10, 20, 30 or a multiple of 60',
      wholeNumber(10),
    )
    .option('--error-rate <percent>', 'alarm above this share of failed requests', amount)
    .option('--p99 <ms>', 'alarm above this 99th percentile of the latency', amount)
    .option('--follow <alias>', 'roll out whatever this alias points to, now and whenever it moves')
    .option('--require-approval', 'deploy approved versions only')
    .option('--no-require-approval', 'deploy any version')
    .option('--spec <file>', 'the whole spec as JSON ("-" reads stdin), instead of what the endpoint has')
    .option('--force', 'roll out although an alarm is on; needs --reason')
    .option('--reason <text>', 'why, for the audit trail')
    .option('--wait', 'wait until the rollout is done', true)
    .option('--no-wait', 'do not wait until the rollout is done')
    .option('--timeout <seconds>', 'wait no longer', wholeNumber(1))
    .addHelpText(
      'after',
      `
What is not named stays as the endpoint has it. Waits until the version is current, and exits with 0 only then.

Examples:
  cairn deploy digits@1
  cairn deploy digits@2 --canary 10 --canary-seconds 300
  cairn deploy digits --follow champion --endpoint digits-live
  cairn deploy --spec endpoint.json --endpoint digits --no-wait`,
    )
    .action(run(deployVerb));
}

async function deployVerb(context: Context, text: string | undefined, options: DeployOptions): Promise<void> {
  const { output } = context;
  const given = options.spec === undefined ? undefined : await readSpec(options.spec);
  if (text === undefined && !given)
    throw usageError('Name what to deploy.', 'For example `cairn deploy digits@3`.');
  const ref = text === undefined ? undefined : parseModelRef(text, context.workspace);
  const wanted = ref && { model: ref.model, target: await targetOf(context, ref, options.follow) };
  const model = wanted?.model ?? given?.model;
  if (typeof model !== 'string') throw usageError('The spec names no model.');
  const endpoint = parseEndpointRef(
    options.endpoint ?? endpointName(model),
    ref?.workspace ?? context.workspace,
  );
  const changes = (base: Partial<EndpointSpecInput>) => applyOptions({ ...base, ...wanted, model }, options);
  const words = {
    ...(options.force && { force: true }),
    ...(options.reason !== undefined && { reason: options.reason }),
  };
  const applied = await apply(context, endpoint, given, changes, words);
  const address = applied.name;
  if (!options.wait) {
    return output.result(
      applied,
      () => `Generation ${applied.generation} of ${address} was taken. Next: cairn status ${address} --watch`,
    );
  }
  onInterrupt(`The rollout goes on: \`cairn status ${address}\` tells how far it is.`);
  const done = await awaitCurrent(context, endpoint, applied.generation, options.timeout);
  output.result(done, () =>
    [
      `${address} runs ${done.spec.model} version ${done.status.current?.version}.`,
      `Address: ${done.url}`,
      `Next: cairn predict ${address} --data '…', cairn status ${address}`,
    ].join('\n'),
  );
}

async function targetOf(
  context: Context,
  ref: ReturnType<typeof parseModelRef>,
  follow: string | undefined,
): Promise<EndpointSpecInput['target']> {
  if (follow !== undefined) {
    if (ref.target) throw usageError(`--follow ${follow} and "@" both say what to deploy.`);
    return { alias: follow };
  }
  const { version } = await resolveVersion(context.client, ref);
  if (ref.target && 'alias' in ref.target && ref.target.alias !== 'latest') {
    context.output.note(
      `"${ref.target.alias}" is version ${version} now. To follow the alias when it moves: --follow ${ref.target.alias}`,
    );
  }
  return { version };
}

type Changes = (base: Partial<EndpointSpecInput>) => Partial<EndpointSpecInput>;

/** Creates the endpoint or replaces its spec, by compare-and-swap on what the changes are based on. */
async function apply(
  { client }: Context,
  endpoint: { workspace: string; endpoint: string },
  given: Partial<EndpointSpecInput> | undefined,
  changes: Changes,
  words: { force?: boolean; reason?: string },
): Promise<Endpoint> {
  const address = endpointPath(endpoint);
  try {
    const before = await client.call<Endpoint>({ method: 'GET', path: address });
    const { body } = await client.call<Endpoint>({
      method: 'PUT',
      path: address,
      body: { spec: changes(given ?? before.body.spec), ...words },
      headers: before.etag === undefined ? {} : { 'if-match': before.etag },
    });
    return body;
  } catch (error) {
    if (!hasCode(error, 'ENDPOINT_NOT_FOUND')) throw error;
  }
  const body = { name: endpoint.endpoint, spec: changes(given ?? {}), ...words };
  return client.post<Endpoint>(path`/api/v1/workspaces/${endpoint.workspace}/endpoints`, body);
}

/** The spec with what the options say, and nothing else changed. */
export function applyOptions(
  spec: Partial<EndpointSpecInput>,
  options: Partial<DeployOptions>,
): Partial<EndpointSpecInput> {
  const { replicas, cpu, memory, alarmPeriod, errorRate, p99, requireApproval } = options;
  const period = alarmPeriod === undefined ? {} : { period: alarmPeriod };
  const alarm = (before: object | undefined, threshold: number | undefined) => ({
    ...before,
    ...period,
    ...(threshold !== undefined && { threshold }),
  });
  const alarms = alarmPeriod !== undefined || errorRate !== undefined || p99 !== undefined;
  return {
    ...spec,
    ...strategyOf(spec, options),
    ...(replicas !== undefined && { replicas }),
    ...((cpu !== undefined || memory !== undefined) && {
      resources: {
        ...spec.resources,
        ...(cpu !== undefined && { cpu }),
        ...(memory !== undefined && { memoryMiB: memory }),
      },
    }),
    ...(alarms && {
      alarms: {
        errorRate: alarm(spec.alarms?.errorRate, errorRate),
        latencyP99: alarm(spec.alarms?.latencyP99, p99),
      },
    }),
    ...(requireApproval !== undefined && { requireApproval }),
  };
}

function strategyOf(
  spec: Partial<EndpointSpecInput>,
  options: Partial<DeployOptions>,
): Pick<Partial<EndpointSpecInput>, 'strategy'> {
  const { allAtOnce, canary, canarySeconds, bakeSeconds } = options;
  if (allAtOnce && (canary !== undefined || canarySeconds !== undefined)) {
    throw usageError('--all-at-once and --canary exclude one another.');
  }
  const before = spec.strategy;
  const bake = bakeSeconds ?? before?.bakeSeconds;
  const bakes = bake === undefined ? {} : { bakeSeconds: bake };
  const asCanary =
    canary !== undefined || canarySeconds !== undefined || (before?.type === 'canary' && !allAtOnce);
  if (!asCanary)
    return allAtOnce || bakeSeconds !== undefined ? { strategy: { type: 'all-at-once', ...bakes } } : {};
  return {
    strategy: {
      ...(before?.type === 'canary' ? before : {}),
      type: 'canary',
      ...bakes,
      ...(canary !== undefined && { canaryPercent: canary }),
      ...(canarySeconds !== undefined && { canarySeconds }),
    },
  };
}

/** An endpoint's name for a model: `Ziffern Groß` → `ziffern-gross`. */
export function endpointName(model: string): string {
  const plain = model.toLowerCase().replaceAll('ß', 'ss').normalize('NFKD').replace(/\p{M}/gu, '');
  const name = plain
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replace(/^-+|-+$/g, '');
  if (name !== '') return name;
  throw usageError(`No endpoint can be named after "${model}".`, 'Name it: --endpoint <name>.');
}

async function readSpec(file: string): Promise<Partial<EndpointSpecInput>> {
  let text: string;
  try {
    text = file === '-' ? await readText(process.stdin) : await readFile(file, 'utf8');
  } catch (error) {
    throw usageError(`The spec cannot be read: ${(error as Error).message}`);
  }
  try {
    const spec = JSON.parse(text);
    if (typeof spec === 'object' && spec !== null && !Array.isArray(spec)) return spec;
  } catch (error) {
    throw usageError(`The spec is not JSON: ${(error as Error).message}`);
  }
  throw usageError('The spec must be a JSON object.');
}
