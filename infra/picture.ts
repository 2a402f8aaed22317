import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Code } from 'aws-cdk-lib/aws-lambda';
import { cairnApp } from './cairn-app.ts';

/**
 * Prints the picture of docs/aws.md, a Mermaid flowchart of what the templates have with serving on: who calls whom, and by
 * the roles' permissions, what each function may reach. `npm run picture`
 */

interface Resource {
  readonly Type: string;
  // biome-ignore lint/suspicious/noExplicitAny: a template has no narrower type than JSON
  readonly Properties: any;
}

type Resources = Readonly<Record<string, Resource>>;

/** What is drawn, and how its logical name becomes words. */
const KINDS: Readonly<Record<string, { readonly rest: RegExp; readonly shape: (label: string) => string }>> =
  {
    'AWS::ApiGateway::RestApi': { rest: /Api$/, shape: (label) => `["API ${label}"]` },
    'AWS::Lambda::Function': { rest: /^Functions|Function$/g, shape: (label) => `(["${label}"])` },
    'AWS::DynamoDB::Table': { rest: /Table$/, shape: (label) => `[("${label} table")]` },
    'AWS::S3::Bucket': { rest: /(Files)?Bucket$/, shape: (label) => `[("${label} bucket")]` },
    'AWS::SQS::Queue': { rest: /Queue$/, shape: (label) => `>"${label} queue"]` },
    'AWS::SNS::Topic': { rest: /Topic$/, shape: (label) => `>"${label} topic"]` },
    'AWS::SecretsManager::Secret': { rest: /Secret$/, shape: (label) => `["${label} secret"]` },
    'AWS::ElasticLoadBalancingV2::LoadBalancer': {
      rest: /^ServingBalancer/,
      shape: (label) => `["${label}"]`,
    },
    'AWS::ECS::Cluster': { rest: /^Serving/, shape: (label) => `["${label}: tasks of revisions"]` },
  };
/** Sending is drawn as an arrow from who sends; that a queue is read, as one to who is called with its messages. */
const READING_A_QUEUE = /^sqs:(Receive|Delete|Get)/;

export function picture(resources: Resources): string {
  const drawn = new Map(Object.entries(resources).filter(([, resource]) => isDrawn(resource)));
  const among = (value: unknown) => [...namesIn(value)].filter((name) => drawn.has(name));
  const functionOf = new Map(
    [...drawn].flatMap(([name, { Type, Properties }]) =>
      Type === 'AWS::Lambda::Function'
        ? [...namesIn(Properties.Role)].map((role) => [role, name] as const)
        : [],
    ),
  );
  const arrows = Object.entries(resources).flatMap(([name, { Type, Properties }]): [string[], string[]][] => {
    switch (Type) {
      case 'AWS::ApiGateway::Method':
        return [[among(Properties.RestApiId), among(Properties.Integration)]];
      case 'AWS::ApiGateway::Authorizer':
        return [[among(Properties.RestApiId), among(Properties.AuthorizerUri)]];
      case 'AWS::ElasticLoadBalancingV2::TargetGroup':
        return [[balancers(drawn), among(Properties.Targets)]];
      case 'AWS::Lambda::EventSourceMapping':
        return [[among(Properties.EventSourceArn), among(Properties.FunctionName)]];
      case 'AWS::SNS::Subscription':
        return [[among(Properties.TopicArn), among(Properties.Endpoint)]];
      case 'AWS::S3::Bucket':
        return [[[name], among(Properties.NotificationConfiguration)]];
      case 'AWS::Events::Rule':
        return [
          [Properties.EventPattern ? among(Properties.EventPattern) : ['timers'], among(Properties.Targets)],
        ];
      case 'AWS::IAM::Policy':
      case 'AWS::IAM::ManagedPolicy': {
        const callers = [...namesIn(Properties.Roles)].flatMap((role) => functionOf.get(role) ?? []);
        const statements: { Action: string | string[]; Resource: unknown }[] =
          Properties.PolicyDocument.Statement;
        return statements
          .filter(({ Action }) => ![Action].flat().every((action) => READING_A_QUEUE.test(action)))
          .map(({ Resource }) => [callers, among(Resource)]);
      }
      default:
        return [];
    }
  });
  const lines = arrows.flatMap(([from, to]) =>
    from.flatMap((one) => to.map((other) => `${one} --> ${other}`)),
  );
  const nodes = [...drawn].map(([name, { Type }]) => {
    const { rest, shape } = KINDS[Type] ?? { rest: /$/, shape: String };
    return `${name}${shape(words(name.replace(HASH, '').replace(rest, '')))}`;
  });
  const all = [...nodes.sort(), 'timers["timers"]', ...[...new Set(lines)].sort()];
  return ['flowchart LR', ...all.map((line) => `  ${line}`)]
    .map((line) => line.replaceAll(/\b(\w+?)[0-9A-F]{8}\b/g, '$1'))
    .join('\n');
}

const HASH = /[0-9A-F]{8}$/;

/** Queues of dead letters are left out: what has no dead letters of its own is one. */
const isDrawn = ({ Type, Properties }: Resource) =>
  Type in KINDS && (Type !== 'AWS::SQS::Queue' || Properties.RedrivePolicy !== undefined);

const balancers = (drawn: ReadonlyMap<string, Resource>) =>
  [...drawn].flatMap(([name, { Type }]) => (Type.endsWith('::LoadBalancer') ? [name] : []));

const words = (name: string) => name.replace(/(?<=[a-z])(?=[A-Z])/g, ' ').toLowerCase();

/** The logical names that a value refers to; of another stack, by the name of its export. */
function* namesIn(value: unknown): Generator<string> {
  if (typeof value !== 'object' || value === null) return;
  const { Ref, 'Fn::GetAtt': attribute, 'Fn::ImportValue': imported } = value as Record<string, unknown>;
  if (typeof Ref === 'string') yield Ref;
  if (Array.isArray(attribute)) yield attribute[0];
  const [, name] = /ExportsOutput(?:Ref|FnGetAtt)(.*?[0-9A-F]{8})/.exec(String(imported)) ?? [];
  if (name !== undefined) yield name;
  for (const inner of Object.values(value)) yield* namesIn(inner);
}

if (import.meta.main) {
  const outdir = mkdtempSync(join(tmpdir(), 'cairn-picture-'));
  try {
    const context = { 'cairn:serving': true, 'cairn:modelServerImage': 'none' };
    const code = () => Code.fromAsset(import.meta.dirname);
    const { stacks } = cairnApp(new App({ outdir, context }), code).app.synth();
    console.log(picture(Object.assign({}, ...stacks.map(({ template }) => template.Resources))));
  } finally {
    rmSync(outdir, { recursive: true });
  }
}
