import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Endpoint, Version } from '../api.ts';
import { usageError } from '../cli-error.ts';
import { path } from '../client.ts';
import { type Context, run } from '../context.ts';
import { readText } from '../http.ts';
import { type InferTensor, inferRequest, nested } from '../infer-request.ts';
import { endpointPath, parseEndpointRef, versionPath } from '../model-ref.ts';
import { plain } from '../output.ts';

interface PredictOptions {
  readonly input?: string;
  readonly data?: string;
}

interface InferResponse {
  readonly model_name: string;
  readonly model_version?: string;
  readonly outputs: readonly InferTensor[];
}

export function predict(program: Command): void {
  program
    .command('predict')
    .description('ask an endpoint for predictions')
    .argument('<endpoint>')
    .option('--input <file>', 'JSON file ("-" reads stdin)')
    .option('--data <json>', 'the JSON itself')
    .addHelpText(
      'after',
      `
The JSON is nested arrays for a model with one input, an object with one entry for each input, or a whole
request of the Open Inference Protocol v2. Names and types come from the model's signature.

Examples:
  cairn predict digits --data '[[0, 0, 5, 13, 9, 1]]'
  cairn predict digits --input images.json --json
  echo '{"age": [[41]], "income": [[52000]]}' | cairn predict churn --input -`,
    )
    .action(run(predictVerb));
}

async function predictVerb(context: Context, name: string, options: PredictOptions): Promise<void> {
  const { client, output } = context;
  const data = await readData(options);
  const ref = parseEndpointRef(name, context.workspace);
  const endpoint = await client.get<Endpoint>(endpointPath(ref));
  const { body } = await client.call<InferResponse>({
    method: 'POST',
    path: path`/endpoints/${ref.workspace}/${ref.endpoint}/v2/models/${endpoint.spec.model}/infer`,
    body: inferRequest(data, await inputsOf(context, endpoint)),
    idempotencyKey: null,
  });
  output.result(body, () => body.outputs.map(outputText).join('\n'));
}

async function inputsOf({ client }: Context, { workspace, spec, status }: Endpoint) {
  const serving = status.traffic[0]?.version ?? status.current?.version;
  if (serving === undefined) return [];
  const version = await client.get<Version>(versionPath({ workspace, model: spec.model }, serving));
  return version.signature?.inputs ?? [];
}

const outputText = ({ name, datatype, shape, data }: InferTensor) =>
  `${plain(name)} ${datatype} [${shape.join(', ')}]\n${plain(rows(nested(data, shape)))}`;

/** One row of the batch a line, numbers to six digits. */
const rows = (value: unknown) =>
  (Array.isArray(value) ? value : [value]).map((row) => `  ${JSON.stringify(row, short)}`).join('\n');

const short = (_: string, value: unknown) =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;

async function readData({ input, data }: PredictOptions): Promise<unknown> {
  if ((input === undefined) === (data === undefined)) {
    throw usageError(
      'Give the data with --data or with --input, one of the two.',
      "For example --data '[[1, 2, 3]]'.",
    );
  }
  const from = data === undefined ? `"${input}"` : '--data';
  let text: string;
  try {
    text = data ?? (input === '-' ? await readText(process.stdin) : await readFile(input ?? '', 'utf8'));
  } catch (error) {
    throw usageError(`The input cannot be read: ${(error as Error).message}`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw usageError(`${from} is not JSON: ${(error as Error).message}`);
  }
}
