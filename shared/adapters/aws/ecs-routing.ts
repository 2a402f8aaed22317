import { createHash } from 'node:crypto';
import {
  type Action,
  CreateRuleCommand,
  CreateTargetGroupCommand,
  DeleteRuleCommand,
  DeleteTargetGroupCommand,
  DescribeRulesCommand,
  DescribeTargetGroupsCommand,
  ModifyTargetGroupAttributesCommand,
  PriorityInUseException,
  type Rule,
  RuleNotFoundException,
  type TargetGroup,
  TargetGroupNotFoundException,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { EndpointRef } from '../../ports/serving-platform.ts';
import { pathOf, serviceName, tagsOf, targetGroupName } from './ecs-names.ts';
import { type EcsPlatformOptions, PORT } from './ecs-options.ts';

export interface Routing {
  readonly targetGroup: string;
  /** What ECS needs to shift traffic: the second target group and the rules that it changes. */
  readonly shifting?: {
    readonly alternate: string;
    readonly productionRule: string;
    readonly testRule?: string;
  };
}

/** Priorities of a listener's rules. */
const PRIORITIES = 50_000;
/** Seconds that a target which is taken out may still finish requests. */
const DEREGISTRATION = '30';

type Options = Pick<
  EcsPlatformOptions,
  'balancing' | 'cluster' | 'vpc' | 'listener' | 'testListener' | 'infrastructureRole'
>;

/**
 * Makes what brings an endpoint's requests to its tasks, as far as it is not there: target groups, and on the listener a
 * rule for its path that also takes the path's beginning away, so that a container sees its protocol's own paths.
 */
export async function ensureRouting(options: Options, ref: EndpointRef): Promise<Routing> {
  const targetGroup = await ensureTargetGroup(options, ref, 'a');
  if (options.infrastructureRole === undefined) {
    await ensureRule(options, options.listener, ref, { Type: 'forward', TargetGroupArn: targetGroup });
    return { targetGroup };
  }
  const alternate = await ensureTargetGroup(options, ref, 'b');
  const forward = (first: number): Action => ({
    Type: 'forward',
    ForwardConfig: {
      TargetGroups: [
        { TargetGroupArn: targetGroup, Weight: first },
        { TargetGroupArn: alternate, Weight: 100 - first },
      ],
    },
  });
  const productionRule = await ensureRule(options, options.listener, ref, forward(100));
  if (options.testListener === undefined) return { targetGroup, shifting: { alternate, productionRule } };
  const testRule = await ensureRule(options, options.testListener, ref, forward(100));
  return { targetGroup, shifting: { alternate, productionRule, testRule } };
}

/** Removes rules and target groups; what is not there is no error. */
export async function removeRouting(options: Options, ref: EndpointRef): Promise<void> {
  for (const listener of [options.listener, options.testListener]) {
    const rule = listener === undefined ? undefined : await findRule(options, listener, ref);
    if (!rule) continue;
    await options.balancing
      .send(new DeleteRuleCommand({ RuleArn: rule.RuleArn }))
      .catch(unless(RuleNotFoundException));
  }
  for (const which of ['a', 'b'] as const) {
    const found = await findTargetGroup(options, ref, which);
    if (found)
      await options.balancing.send(new DeleteTargetGroupCommand({ TargetGroupArn: found.TargetGroupArn }));
  }
}

async function ensureTargetGroup(options: Options, ref: EndpointRef, which: 'a' | 'b'): Promise<string> {
  const { balancing, cluster, vpc } = options;
  const known = await findTargetGroup(options, ref, which);
  if (known?.TargetGroupArn) return known.TargetGroupArn;
  const { TargetGroups = [] } = await balancing.send(
    new CreateTargetGroupCommand({
      Name: targetGroupName(cluster, ref, which),
      TargetType: 'ip',
      Protocol: 'HTTP',
      Port: PORT,
      VpcId: vpc,
      HealthCheckPath: '/ping',
      HealthCheckIntervalSeconds: 10,
      HealthCheckTimeoutSeconds: 5,
      HealthyThresholdCount: 2,
      UnhealthyThresholdCount: 3,
      Matcher: { HttpCode: '200' },
      Tags: tags(ref),
    }),
  );
  const TargetGroupArn = TargetGroups[0]?.TargetGroupArn;
  if (TargetGroupArn === undefined) throw new Error('CreateTargetGroup answered without a target group');
  await balancing.send(
    new ModifyTargetGroupAttributesCommand({
      TargetGroupArn,
      Attributes: [
        { Key: 'deregistration_delay.timeout_seconds', Value: DEREGISTRATION },
        { Key: 'load_balancing.algorithm.type', Value: 'least_outstanding_requests' },
      ],
    }),
  );
  return TargetGroupArn;
}

async function findTargetGroup(
  { balancing, cluster }: Options,
  ref: EndpointRef,
  which: 'a' | 'b',
): Promise<TargetGroup | undefined> {
  const Names = [targetGroupName(cluster, ref, which)];
  const found = await balancing
    .send(new DescribeTargetGroupsCommand({ Names }))
    .catch(unless(TargetGroupNotFoundException));
  return found?.TargetGroups?.[0];
}

async function ensureRule(
  options: Options,
  listener: string,
  ref: EndpointRef,
  action: Action,
): Promise<string> {
  const known = await findRule(options, listener, ref);
  if (known?.RuleArn) return known.RuleArn;
  const path = pathOf(ref);
  const first = createHash('sha256').update(serviceName(ref)).digest().readUInt32BE() % PRIORITIES;
  // Endpoints' paths exclude each other, so any free priority will do.
  for (let attempt = 0; attempt < PRIORITIES; attempt++) {
    const made = await options.balancing
      .send(
        new CreateRuleCommand({
          ListenerArn: listener,
          Priority: 1 + ((first + attempt) % PRIORITIES),
          Conditions: [{ Field: 'path-pattern', PathPatternConfig: { Values: [`${path}/*`] } }],
          Transforms: [
            {
              Type: 'url-rewrite',
              UrlRewriteConfig: { Rewrites: [{ Regex: `^${path}/(.*)$`, Replace: '/$1' }] },
            },
          ],
          Actions: [action],
          Tags: tags(ref),
        }),
      )
      .catch(unless(PriorityInUseException));
    if (!made) continue;
    const arn = made.Rules?.[0]?.RuleArn;
    if (arn === undefined) throw new Error('CreateRule answered without a rule');
    return arn;
  }
  throw new Error(`the listener ${listener} has no priority left`);
}

async function findRule(
  { balancing }: Options,
  ListenerArn: string,
  ref: EndpointRef,
): Promise<Rule | undefined> {
  const pattern = `${pathOf(ref)}/*`;
  for (let Marker: string | undefined; ; ) {
    const page = await balancing.send(
      new DescribeRulesCommand({ ListenerArn, PageSize: 400, ...(Marker === undefined ? {} : { Marker }) }),
    );
    const found = page.Rules?.find(({ Conditions = [] }) =>
      Conditions.some(({ PathPatternConfig, Values }) =>
        (PathPatternConfig?.Values ?? Values)?.includes(pattern),
      ),
    );
    if (found || !page.NextMarker) return found;
    Marker = page.NextMarker;
  }
}

const tags = (ref: EndpointRef) => Object.entries(tagsOf(ref)).map(([Key, Value]) => ({ Key, Value }));

/** Undefined for an error of that class; others go on. */
function unless(expected: new (...args: never[]) => Error) {
  return (error: unknown): undefined => {
    if (!(error instanceof expected)) throw error;
  };
}
